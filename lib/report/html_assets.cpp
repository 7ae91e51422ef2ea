// The style sheet and the one script of a page. Their hashes are part of its policy.

#include "lib/report/html_parts.h"

namespace roundel::report::html {

std::string_view StyleSheet() {
  return R"css(
:root{color-scheme:light dark;--page:#fff;--card:#f7f8fa;--line:#dfe3e8;--text:#1c2430;--soft:#5b6675;
--accent:#1f6f8b;--accent-soft:#1f6f8b40;--second:#b0702a;--good:#2b7a4b;--bad:#b3372f;--mid:#8a6d1d}
@media (prefers-color-scheme:dark){:root{--page:#14181d;--card:#1b2027;--line:#323a45;--text:#e3e7ec;
--soft:#98a3b1;--accent:#63b6d1;--accent-soft:#63b6d140;--second:#dca160;--good:#6cc08b;--bad:#ee8379;--mid:#d9bb63}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0 auto;max-width:72rem;padding:2.5rem 1.5rem 4rem;background:var(--page);color:var(--text);
font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","DejaVu Sans",Arial,sans-serif;
font-variant-numeric:tabular-nums}
h1{margin:0;font-size:1.75rem;line-height:1.2;font-weight:650;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{margin:3rem 0 .35rem;font-size:1.15rem;font-weight:650;letter-spacing:-.005em}
h3{margin:0;font-size:.875rem;font-weight:600;overflow-wrap:anywhere}
p{margin:.4rem 0}
a{color:var(--accent);text-decoration:none}
a:hover{text-decoration:underline}
.kicker{margin:0 0 .3rem;color:var(--soft);font-size:.75rem;font-weight:600;letter-spacing:.08em;text-transform:uppercase}
.note,.lead{color:var(--soft);max-width:48rem}
.note{margin:0 0 .9rem;font-size:.875rem}
nav{display:flex;flex-wrap:wrap;gap:.3rem 1.25rem;margin-top:1.25rem;padding:.65rem 0;font-size:.875rem;
border-top:1px solid var(--line);border-bottom:1px solid var(--line)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11.5rem,1fr));gap:.75rem;margin-top:1.5rem}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem}
.tile{margin:0}
.tile dt{color:var(--soft);font-size:.8rem}
.tile dd{margin:0}
.tile .value{font-size:1.35rem;line-height:1.3;font-weight:600;letter-spacing:-.01em}
.tile .value small{font-size:.9rem;font-weight:500;color:var(--soft)}
.tile .under{color:var(--soft);font-size:.8rem;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr));gap:.75rem}
.card p{margin:.15rem 0;font-size:.8rem;color:var(--soft)}
.good{color:var(--good)}.bad{color:var(--bad)}.mid{color:var(--mid)}
.warnings{margin:1.25rem 0 0;padding:.7rem 1rem .7rem 2rem;border-left:3px solid var(--mid);background:var(--card);
border-radius:0 8px 8px 0;font-size:.9rem;overflow-wrap:anywhere}
.box{overflow:auto;max-height:36rem;border:1px solid var(--line);border-radius:8px}
.box:focus-visible,summary:focus-visible,button:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
table{border-collapse:collapse;width:100%;font-size:.8125rem;line-height:1.4}
th,td{padding:.35rem .7rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
td:first-child,.n1 td:nth-child(2){overflow-wrap:anywhere;min-width:11rem}
.n1 td:first-child{min-width:0}
td small{display:block;color:var(--soft);max-width:44rem}
.sort td{white-space:nowrap}
.sort td:first-child,.sort.n1 td:nth-child(2),.sort td:last-child{white-space:normal}
.sort.n1 td:nth-child(2){min-width:19rem}
tbody tr:last-child td{border-bottom:0}
tbody tr:hover td{background:var(--card)}
th{position:sticky;top:0;z-index:1;background:var(--card);color:var(--soft);font-weight:600;white-space:nowrap;vertical-align:bottom}
th button{all:unset;cursor:pointer;display:inline-block}
th button::after{content:"↕";margin-left:.3em;opacity:.35}
th[aria-sort=ascending] button::after{content:"↑";opacity:1}
th[aria-sort=descending] button::after{content:"↓";opacity:1}
.n1 :is(th,td):nth-child(1),.n2 :is(th,td):nth-child(2),.n3 :is(th,td):nth-child(3),.n4 :is(th,td):nth-child(4),
.n5 :is(th,td):nth-child(5),.n6 :is(th,td):nth-child(6),.n7 :is(th,td):nth-child(7),.n8 :is(th,td):nth-child(8),
.n9 :is(th,td):nth-child(9),.n10 :is(th,td):nth-child(10),.n11 :is(th,td):nth-child(11),.n12 :is(th,td):nth-child(12),
.n13 :is(th,td):nth-child(13),.n14 :is(th,td):nth-child(14),.n15 :is(th,td):nth-child(15),.n16 :is(th,td):nth-child(16){text-align:right;white-space:nowrap}
details{margin:.5rem 0;border:1px solid var(--line);border-radius:8px;overflow:hidden}
details>*:not(summary){margin:0 .9rem .8rem}
details .box{max-height:22rem}
summary{cursor:pointer;padding:.5rem .9rem;font-size:.9rem;overflow-wrap:anywhere}
summary small{color:var(--soft);margin-left:.5em}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.25rem;margin:.5rem 0;font-size:.875rem}
dl.facts dt{color:var(--soft)}
dl.facts dd{margin:0;overflow-wrap:anywhere}
pre,code{font:.8125rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
pre{margin:.5rem 0;padding:.7rem .9rem;overflow:auto;max-height:30rem;background:var(--card);border:1px solid var(--line);border-radius:8px}
.chart{overflow-x:auto}
svg{display:block;width:100%;height:auto;font-size:11px;fill:var(--soft)}
.wide{padding:.5rem .75rem}
.wide svg{min-width:44rem}
.grid{stroke:var(--line);fill:none}
.line{stroke:var(--accent);stroke-width:1.5;fill:none}
.dot{fill:var(--accent)}
.dot.b{fill:var(--page);stroke:var(--accent);stroke-width:1.5}
.dot:hover,.bar:hover{fill:var(--second)}
.bar{fill:var(--accent)}
.cut{fill:var(--second)}
.kept{fill:var(--accent-soft)}
.end{stroke:var(--second);stroke-dasharray:3 2}
.was{stroke:var(--second);fill:var(--second)}
.now{stroke:var(--accent);fill:var(--accent)}
.name{fill:var(--text)}
.key{display:inline-block;width:.7em;height:.7em;margin-right:.35em;border-radius:2px;background:var(--accent)}
.key.s{background:var(--second)}
footer{margin-top:3rem;color:var(--soft);font-size:.8rem}
@media (max-width:40rem){body{padding:1.25rem 1rem 3rem}h1{font-size:1.4rem}
.tiles{grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.5rem}.tile,.card{padding:.65rem .8rem}
.tile .value{font-size:1.15rem}dl.facts{grid-template-columns:1fr;gap:0}dl.facts dd{margin-bottom:.5rem}}
@media print{.box,pre{max-height:none}nav{display:none}body{padding:0;max-width:none}section{break-inside:avoid-page}}
)css";
}

// Puts a button on each title of a sortable table. Values that are missing stay last.
std::string_view Script() {
  return R"js(
for (const table of document.querySelectorAll("table.sort")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const key = (row, i) => {
    const cell = row.cells[i];
    if (!cell) return null;
    const text = cell.dataset.key ?? cell.textContent.trim();
    return text === "" || text === "–" ? null : text;
  };
  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      const rows = [...body.rows].map((row) => ({row, key: key(row, i)}));
      const numbers = rows.every((r) => r.key === null || Number.isFinite(Number(r.key)));
      const compare = (a, b) => numbers ? Number(a) - Number(b) : a < b ? -1 : a > b ? 1 : 0;
      rows.sort((a, b) => a.key === null || b.key === null ? (a.key === null) - (b.key === null)
        : rising ? compare(a.key, b.key) : compare(b.key, a.key));
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      body.append(...rows.map((r) => r.row));
    });
  });
}
)js";
}

}  // namespace roundel::report::html
