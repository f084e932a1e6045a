-- Every example of the pages about scripting runs. A block that returns a processor is run on
-- the lines of the block `json given` behind it; `json expect` is what must come out.
local tw = require "tidewire"
local testing = require "tidewire.testing"

local PRELUDE = 'local tw = require "tidewire" '

--- The fenced blocks of a page: their info string, text and line.
local function blocks_of(page)
  local blocks, open, number = {}, nil, 0
  for line in io.lines(page) do
    number = number + 1
    local info = line:match "^```(.*)$"
    if open and info then
      blocks[#blocks + 1] = { info = open.info, line = open.line, text = table.concat(open, "\n") }
      open = nil
    elseif info then
      open = { info = info, line = number }
    elseif open then
      open[#open + 1] = line
    end
  end
  return blocks
end

local function events_of(block)
  local events = {}
  for line in block.text:gmatch "[^\n]+" do
    events[#events + 1] = line
  end
  return events
end

local function run(block, page)
  local name = ("@%s:%d"):format(page, block.line)
  return assert(load(PRELUDE .. block.text, name, "t"))()
end

local function check(processor, given, expected)
  local cases = testing.cases {
    processor = processor,
    cases = { { "the example", given = events_of(given), expect = events_of(expected) } },
  }
  cases[1].run()
end

for _, page in ipairs { "docs/processors.md", "docs/scripting.md", "docs/backends.md", "docs/embedding.md" } do
  describe(page, function()
    local blocks = blocks_of(page)
    for i, block in ipairs(blocks) do
      if block.info == "lua" then
        it("has an example that runs at line " .. block.line, function()
          local result = run(block, page)
          local given, expected = blocks[i + 1], blocks[i + 2]
          if given and given.info == "json given" then
            assert.are.equal("json expect", expected.info)
            check(result, given, expected)
          end
        end)
      end
    end
  end)
end

describe("docs/processors.md", function()
  it("has a heading for every processor", function()
    local file = assert(io.open "docs/processors.md")
    local text = file:read "a"
    file:close()
    for name in pairs(tw.processors) do
      assert(text:find("\n## [%w_ ]*%f[%w_]" .. name .. "%f[^%w_]"), name)
    end
  end)
end)
