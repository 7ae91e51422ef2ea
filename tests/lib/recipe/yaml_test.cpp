#include "lib/recipe/yaml.h"

#include "tests/support/catch.h"

using namespace roundel;
using namespace roundel::recipe;

namespace {

YamlNode Parsed(const std::string& text) {
  Result<YamlNode> node = ParseYaml(text, "f.yaml");
  INFO((node.ok() ? "" : node.status().message()));
  REQUIRE(node.ok());
  return std::move(node).value();
}

std::string Refused(const std::string& text) {
  const Result<YamlNode> node = ParseYaml(text, "f.yaml");
  REQUIRE_FALSE(node.ok());
  CHECK(node.status().kind() == ErrorKind::kUsage);
  CHECK(node.status().message().find('\n') == std::string::npos);
  return node.status().message();
}

}  // namespace

TEST_CASE("a YAML document becomes a tree with lines") {
  const YamlNode root = Parsed(
      "# comment\n"
      "name: ort-cpu\n"
      "empty:\n"
      "list: [1, 'two', \"null\", ~]\n"
      "map:\n"
      "  inner: {a: 1, b: x y}\n");
  REQUIRE(root.IsMap());
  REQUIRE(root.entries.size() == 4);
  CHECK(root.entries[0].key == "name");
  CHECK(root.entries[0].value.scalar == "ort-cpu");
  CHECK(root.entries[0].value.line == 2);
  CHECK(root.Find("empty")->IsNull());
  const YamlNode& list = *root.Find("list");
  REQUIRE(list.items.size() == 4);
  CHECK(list.items[1].scalar == "two");
  CHECK(list.items[2].scalar == "null");
  CHECK(list.items[2].IsScalar());
  CHECK(list.items[3].IsNull());
  CHECK(root.Find("map")->Find("inner")->Find("b")->scalar == "x y");
  CHECK(root.Find("map")->Find("inner")->line == 6);
  CHECK(root.Find("absent") == nullptr);
}

TEST_CASE("a byte order mark and Windows line ends are accepted") {
  CHECK(Parsed("\xef\xbb\xbf"
               "a: 1\r\nb: 2\r\n")
            .Find("b")
            ->scalar == "2");
}

TEST_CASE("YAML beyond plain trees is refused") {
  CHECK(Refused("") == "f.yaml: the file is empty");
  CHECK(Refused("# only a comment\n") == "f.yaml: the file is empty");
  CHECK(Refused("---\na: 1\n---\nb: 2\n") ==
        "f.yaml: more than one YAML document ('---'); keep only one");
  CHECK(Refused("a: &x 1\nb: 2\n") ==
        "f.yaml:1: anchors (&name) are not allowed; write the value out");
  CHECK(Refused("a: &x [1]\nb: [*x, *x]\n") ==
        "f.yaml:1: anchors (&name) are not allowed; write the value out");
  CHECK(Refused("a: 1\nb: !!python/object:os.system x\n") ==
        "f.yaml:2: tags are not allowed: 'tag:yaml.org,2002:python/object:os.system'");
  CHECK(Refused("a: 1\nb: 2\na: 3\n") == "f.yaml:3: duplicate key 'a'");
  CHECK(Refused("[a, b]: 1\n") == "f.yaml:1: a key must be a plain name");
  CHECK(Refused("? {a: 1}\n: 1\n") == "f.yaml:1: a key must be a plain name");
  CHECK(Refused("~: 1\n") == "f.yaml:1: a key must be a plain name");
  CHECK(Refused("a:\n\t- 1\n") == "f.yaml:2: tab in the indentation; use spaces");
  CHECK(Refused("a: [1, 2\nb: 3\n").find("f.yaml:2: not valid YAML: ") == 0);
  CHECK(Refused("a: 'unfinished\n").find("not valid YAML: ") != std::string::npos);
  CHECK(Refused(std::string("a: \0b\n", 6)) == "f.yaml:1: control character; is this a YAML file?");
  CHECK(Refused("a: \"x\\0y\"\n") == "f.yaml:1: NUL character in a value");
  CHECK(Refused("a: \"x\\Ny\"\n") == "f.yaml:1: an escape in this value is not supported");
  CHECK(Refused("a: 1\nb: \xff\xfe\n") == "f.yaml:2: not UTF-8 text");
  CHECK(Refused("a: \xc0\x80\n") == "f.yaml:1: not UTF-8 text");
  CHECK(Refused("a: \xed\xa0\x80\n") == "f.yaml:1: not UTF-8 text");
}

TEST_CASE("deep and huge YAML is refused before it costs anything") {
  const std::string open(100000, '['), close(100000, ']');
  CHECK(Refused("a: " + open + close) == "f.yaml:1: nested deeper than 16 levels");
  std::string block;
  for (int i = 0; i < 1000; ++i) block += std::string(static_cast<size_t>(i), ' ') + "a:\n";
  CHECK(Refused(block).find("nested deeper than 16 levels") != std::string::npos);
  CHECK(Refused(std::string(kMaxYamlBytes + 1, ' ')) ==
        "f.yaml: 1.0 MB is too large; the limit is 1.0 MB");
}

TEST_CASE("text in messages is short and on one line") {
  CHECK(ForMessage("a\nb\x7f") == "a?b?");
  CHECK(ForMessage(std::string(100, 'x')) == std::string(60, 'x') + "...");
  CHECK(ForMessage(std::string(59, 'x') + "\xc3\xa9y") == std::string(59, 'x') + "\xc3\xa9...");
}
