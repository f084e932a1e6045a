-- Regular expressions: what each method gives for a pattern and a text, and how mistakes are told.
local tw = require "tidewire"

--- What a call gives, as one text.
local function show(...)
  local list = table.pack(...)
  for i = 1, list.n do
    list[i] = tostring(list[i])
  end
  return table.concat(list, "|")
end

local function all(re, text, init)
  local list = {}
  for a, b in re:gmatch(text, init) do
    list[#list + 1] = show(a, b)
  end
  return table.concat(list, ";")
end

--- The message that a call raises, without its position, which has to be in this file.
local function refusal(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return (message:match "^tests/spec/regex_spec%.lua:%d+: (.*)$") or "no position: " .. message
end

-- method, pattern, flags, arguments, expected
local cases = {
  { "match", [[^edx\.(?<kind>\w+)]], nil, { "edx.video.x" }, "video" },
  { "match", [[\w+]], nil, { "  ab cd" }, "ab" },
  { "match", [[\w+]], nil, { "ab cd", 3 }, "cd" },
  { "match", [[\w+]], nil, { "ab cd", -1 }, "d" },
  { "match", [[\w+]], nil, { "ab cd", -100 }, "ab" },
  { "match", [[x?]], nil, { "ab", 3 }, "" },
  { "match", [[x?]], nil, { "ab", 4 }, "nil" },
  { "match", "x", nil, { "ab" }, "nil" },
  { "match", "(a)|(b)|(c)", nil, { "b" }, "false|b|false" },
  { "match", [[^\d+$]], nil, { "a\n12\nb" }, "nil" },
  { "match", [[^\d+$]], "m", { "a\n12\nb" }, "12" },
  { "match", "a.b", nil, { "a\nb" }, "nil" },
  { "match", "a.b", "s", { "a\nb" }, "a\nb" },
  { "match", "É.", "i", { "xéß" }, "éß" },
  { "match", "a b # c", "x", { "ab" }, "ab" },
  { "match", "a+", "U", { "aaa" }, "a" },
  { "match", [[\w+]], nil, { "été" }, "t" },
  { "match", [[\w+]], "u", { "été" }, "été" },
  { "match", "^.$", nil, { "\u{1F600}" }, "\u{1F600}" },
  { "match", "a\0b", nil, { "xa\0b" }, "a\0b" },
  { "match", "b", nil, { "\xFFb" }, "b" },
  { "match", "1", nil, { 212 }, "1" },
  { "match", [[a\Kb]], nil, { "ab" }, "b" },
  { "find", "b(c)?(d)", nil, { "abd" }, "2|3|false|d" },
  { "find", "", nil, { "" }, "1|0" },
  { "find", "é", nil, { "aé" }, "2|3" },
  { "find", "^b", nil, { "ab", 2 }, "nil" },
  { "find", [[\Gb]], nil, { "ab", 2 }, "2|2" },
  { "find", [[(?<=a)b]], nil, { "ab", 2 }, "2|2" },
  { "test", "b", nil, { "abc" }, "true" },
  { "test", "b", nil, { "abc", 3 }, "false" },
  { "gsub", [[(?<y>\d+)-(\d+)]], nil, { "2020-11 2021-12", "${2}/${y}$$$0" }, "11/2020$2020-11 12/2021$2021-12|2" },
  { "gsub", "(a)|b", nil, { "ab", "<$1>" }, "<a><>|2" },
  { "gsub", [[\w+]], nil, { "a b c", "x", 2 }, "x x c|2" },
  { "gsub", [[\w+]], nil, { "a b", "x", 0 }, "a b|0" },
  { "gsub", "x*", nil, { "abc", "-" }, "-a-b-c-|4" },
  { "gsub", "x*", nil, { "éa", "-" }, "-é-a-|3" },
  { "gsub", "a|", nil, { "ab", "<$0>" }, "<a>b<>|2" },
  { "gsub", [[\w+]], nil, { "a b c", { a = "A", b = false, c = 3 } }, "A b 3|3" },
  { "gsub", "(a)(b)?", nil, { "ab a", function(a, b) return a .. tostring(b) end }, "ab afalse|2" },
  { "gsub", "a", nil, { "aa", function() end }, "aa|2" },
  { "gsub", "a", nil, { "a", 5 }, "5|1" },
  { "gsub", "(?J)(?<n>a)|(?<n>b)", nil, { "ab", "[${n}]" }, "[a][b]|2" },
}

describe("a regex", function()
  for _, case in ipairs(cases) do
    local method, pattern, flags, arguments, expected = table.unpack(case, 1, 5)
    local name = ("%s of %q on %q gives %s"):format(method, pattern, arguments[1], expected)
    it(name:gsub("%c", "?"), function()
      local re = tw.regex(pattern, flags)
      assert.are.equal(expected, show(re[method](re, table.unpack(arguments))))
    end)
  end

  it("walks over all matches, and never twice over an empty one", function()
    assert.are.equal("|nil;aa|nil;|nil", all(tw.regex "a*", "baab"))
    assert.are.equal("a|1;b|false", all(tw.regex [[(\w)(\d)?]], "a1b"))
    assert.are.equal("b|nil", all(tw.regex [[\w]], "ab", 2))
    assert.are.equal("", all(tw.regex "a*", "b", 5))
  end)

  it("goes on returning nothing when its walk has ended", function()
    local step = tw.regex("a"):gmatch "a"
    assert.are.equal("a", step())
    assert.is_nil(step())
    assert.is_nil(step())
  end)

  it("captures by number and by name", function()
    local found = tw.regex([[(?<kind>\w+)\.(\d)?(?<rest>x)?]]):captures "a video."
    assert.are.same({ [0] = "video.", "video", false, false, kind = "video", rest = false }, found)
    assert.is_nil(tw.regex("a"):captures "b")
    local twice = tw.regex("(?J)(?<n>a)|(?<n>b)"):captures "b"
    assert.are.equal("b", twice.n)
  end)

  it("tells its pattern, and is a constant", function()
    local re = tw.regex("^a", "im")
    assert.are.equal("^a", re.pattern)
    assert.are.equal('tidewire.regex("^a", "im")', tostring(re))
    assert.are.equal('tidewire.regex("^a")', tostring(tw.regex "^a"))
    assert.is_false(getmetatable(re))
    assert.is_nil(re.patern)
    assert.has_error(function()
      re.pattern = "b"
    end)
  end)

  local mistakes = {
    { [[a(b]], nil, 'regex: bad pattern "a(b" at position 4: missing closing parenthesis' },
    { "[z-a]", nil, 'regex: bad pattern "[z-a]" at position 4: range out of order in character class' },
    { "\xFF", nil, "regex: bad pattern" },
    { [[\C]], nil, "using \\C is disabled by the application" },
    { nil, nil, "regex: 'pattern' must be a string, not nil" },
    { 5, nil, "regex: 'pattern' must be a string, not a number" },
    { "a", "iq", "regex: unknown flag 'q'; there are i, m, s, x, u and U" },
    { "a", true, "regex: 'flags' must be a string, not a boolean" },
    { ("()"):rep(128), nil, "has 128 groups; 127 is the limit" },
    { ("a"):rep(32769), nil, "has 32769 bytes; 32768 is the limit" },
  }
  for _, case in ipairs(mistakes) do
    it("refuses " .. tostring(case[1]):sub(1, 20):gsub("%c", "?") .. ": " .. case[3], function()
      local pattern, flags, expected = table.unpack(case, 1, 3)
      local message = refusal(function()
        return (tw.regex(pattern, flags))
      end)
      assert.is_truthy(message:find(expected, 1, true), message)
    end)
  end

  it("tells what is wrong with a replacement", function()
    local re = tw.regex "(a)"
    local dollar = "gsub: in a replacement, a group is $1 or ${name}, and $$ is a dollar sign"
    local wrong = {
      { "$", dollar },
      { "$x", dollar },
      { "${}", dollar },
      { "${a", dollar },
      { "$2", 'gsub: the pattern has no group "2" for the replacement' },
      { "${2}", 'gsub: the pattern has no group "{2}" for the replacement' },
      { "${1a}", 'gsub: the pattern has no group "1a" for the replacement' },
      { "$99999999999", 'gsub: the pattern has no group "99999999999" for the replacement' },
      { "${foo}", 'gsub: the pattern has no group "foo" for the replacement' },
      { "${" .. ("n"):rep(40) .. "}", ("n"):rep(40) },
      { function() return {} end, "gsub: the replacement must be a string or a number, not a table" },
    }
    for _, case in ipairs(wrong) do
      local message = refusal(function()
        re:gsub("a", case[1])
      end)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end
    assert.has_error(function()
      re:gsub("a", true)
    end, "bad argument #2 to 'gsub' (string/function/table expected, got boolean)")
  end)

  it("is known by its kind", function()
    local re = tw.regex "a"
    for _, other in ipairs { "a", 1, {}, tw.path "a", io.stdout } do
      assert.has_error(function()
        re.match(other, "a")
      end)
    end
    assert.has_error(function()
      re:match(nil)
    end)
  end)

  it("gives up on a match that runs away, and works on", function()
    local re = tw.regex "(a+)+$"
    local message = refusal(function()
      re:match(("a"):rep(50) .. "b")
    end)
    assert.are.equal('pattern "(a+)+$" gave up after 10000000 steps on a text of 51 bytes; '
      .. "make it match with less backtracking", message)
    assert.are.equal("a", re:match "a")
  end)

  it("finds in long texts what it finds in short ones", function()
    local long = ("x"):rep(100000) .. "'" .. ("y"):rep(100000) .. "'"
    local quote, text = tw.regex([[(['"])(.*?)\1]]):match(long)
    assert.are.equal("'", quote)
    assert.are.equal(100000, #text)
    local _, count = tw.regex([[\b\w+\b]]):gsub(("the quick brown fox "):rep(5000), "$0")
    assert.are.equal(20000, count)
  end)

  it("may be used by its own callback", function()
    local re = tw.regex [[(\w)(\w)]]
    local out = re:gsub("abcd", function(a, b)
      assert.are.equal("x", (re:match "xy"))
      return b .. a
    end)
    assert.are.equal("badc", out)
  end)

  it("may be used in a finalizer in the middle of its own match", function()
    local re, stopped = tw.regex [[(\w+) (\w+) (\w+)]], false
    local function arm()
      setmetatable({}, { __gc = function()
        re:match "x yy zzz"
        if not stopped then
          arm()
        end
      end })
    end
    arm()
    collectgarbage "generational"
    for i = 1, 20000 do
      local a, b, c = re:match("a" .. i .. " bb" .. i .. " ccc" .. i)
      assert(a == "a" .. i and b == "bb" .. i and c == "ccc" .. i)
    end
    collectgarbage "incremental"
    stopped = true
  end)

  it("weighs for the collector what it holds outside of Lua", function()
    collectgarbage()
    local live, most = setmetatable({}, { __mode = "k" }), 0
    for i = 1, 20000 do
      live[tw.regex([[^edx\.(\w+)]] .. i)] = true
      if i % 500 == 0 then
        local count = 0
        for _ in pairs(live) do
          count = count + 1
        end
        most = math.max(most, count)
      end
    end
    assert.is_true(most < 4000, most .. " were alive at once")
  end)
end)
