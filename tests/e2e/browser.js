// Opens a page in Chromium and says what it is like there, as JSON on stdout.
// node browser.js CHROMIUM page.html [folder for screenshots]
//
// The protocol of Chromium's developer tools over two pipes: messages are JSON, each ended by a zero
// byte. Nothing but node is needed.
'use strict';
const {spawn} = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

const [chromium, page, screenshots] = process.argv.slice(2);
const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'roundel-browser-'));
const browser = spawn(chromium,
    ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars',
      '--remote-debugging-pipe', `--user-data-dir=${profile}`, 'about:blank'],
    {stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe']});

let counter = 0, buffer = '';
const waiting = new Map(), listeners = [];
browser.stdio[4].on('data', (data) => {
  buffer += data.toString();
  for (let end; (end = buffer.indexOf('\0')) >= 0; buffer = buffer.slice(end + 1)) {
    const message = JSON.parse(buffer.slice(0, end));
    if (message.id) {
      const {resolve, reject} = waiting.get(message.id);
      message.error ? reject(new Error(message.error.message)) : resolve(message.result);
    } else {
      for (const listener of listeners) listener(message);
    }
  }
});

function send(method, params = {}, sessionId) {
  const id = ++counter;
  browser.stdio[3].write(JSON.stringify({id, method, params, sessionId}) + '\0');
  return new Promise((resolve, reject) => waiting.set(id, {resolve, reject}));
}

const event = (name) => new Promise((resolve) => listeners.push((m) => m.method === name && resolve(m)));

// Runs in the page.
function sortByEveryColumn() {
  const results = [];
  for (const table of document.querySelectorAll('table.sort')) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const values = () => [...table.tBodies[0].rows].map((row) => {
        const cell = row.cells[column];
        return cell.dataset.key ?? cell.textContent.trim();
      });
      const result = {title: head.textContent, orders: []};
      for (let click = 0; click < 2; ++click) {
        head.querySelector('button').click();
        result.orders.push({order: head.getAttribute('aria-sort'), values: values()});
      }
      results.push(result);
    });
  }
  return results;
}

// Runs in the page.
function describe() {
  const style = getComputedStyle(document.body);
  return {
    title: document.title,
    wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    colors: [style.color, style.backgroundColor],
    pictures: [...document.querySelectorAll('svg')].filter((s) => s.getBoundingClientRect().height > 8).length,
    sections: [...document.querySelectorAll('section')].map((s) => s.id),
    foreign: document.querySelectorAll('img,iframe,object,embed,link,form,input').length,
    scripts: document.scripts.length,
    links: [...document.links].filter((a) => !a.getAttribute('href').startsWith('#')).map((a) => a.getAttribute('href')),
    alarm: typeof window.alarm,
  };
}

async function main() {
  const {targetId} = await send('Target.createTarget', {url: 'about:blank'});
  const {sessionId} = await send('Target.attachToTarget', {targetId, flatten: true});
  const errors = [];
  listeners.push((m) => {
    if (m.method === 'Runtime.exceptionThrown') errors.push(m.params.exceptionDetails.text);
    if (m.method === 'Runtime.consoleAPICalled') errors.push(`console.${m.params.type}`);
    if (m.method === 'Log.entryAdded') errors.push(m.params.entry.text);
    if (m.method === 'Page.javascriptDialogOpening') errors.push('a dialog opens');
  });
  for (const domain of ['Page', 'Runtime', 'Log']) await send(`${domain}.enable`, {}, sessionId);
  const call = async (f) => (await send('Runtime.evaluate',
      {expression: `(${f})()`, returnByValue: true}, sessionId)).result.value;
  const report = {views: {}};
  const loaded = event('Page.loadEventFired');
  await send('Page.navigate', {url: 'file://' + path.resolve(page)}, sessionId);
  await loaded;
  for (const width of [1280, 400]) {
    for (const scheme of ['light', 'dark']) {
      await send('Emulation.setDeviceMetricsOverride',
          {width, height: 900, deviceScaleFactor: 1, mobile: false}, sessionId);
      await send('Emulation.setEmulatedMedia',
          {features: [{name: 'prefers-color-scheme', value: scheme}]}, sessionId);
      report.views[`${width} ${scheme}`] = await call(describe);
      if (!screenshots) continue;
      const shot = await send('Page.captureScreenshot', {captureBeyondViewport: true}, sessionId);
      fs.writeFileSync(path.join(screenshots, `${path.basename(page, '.html')}_${width}_${scheme}.png`),
          Buffer.from(shot.data, 'base64'));
    }
  }
  report.sorted = await call(sortByEveryColumn);
  report.errors = errors.slice();
  // What a name that became markup would do: the page's policy must stop it even then.
  await call(() => {
    const script = document.createElement('script');
    script.textContent = 'window.alarm = 1';
    document.body.append(script);
    document.body.insertAdjacentHTML('beforeend', '<p onclick="window.alarm = 2" id="trap">');
    document.getElementById('trap').click();
  });
  report.blocked = await call(() => typeof window.alarm) === 'undefined';
  return report;
}

const end = (code) => {
  browser.once('exit', () => {
    fs.rmSync(profile, {recursive: true, force: true});
    process.exit(code);
  });
  browser.kill('SIGKILL');
};
browser.on('error', (error) => { console.error(error.message); process.exit(1); });
setTimeout(() => { console.error('the browser does not answer'); end(1); }, 90000).unref();
main().then((report) => { console.log(JSON.stringify(report)); end(0); },
    (error) => { console.error(error.stack); end(1); });
