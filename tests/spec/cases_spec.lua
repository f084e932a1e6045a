-- Every file of tests/cases: events in, events out.
require "tidewire"
local testing = require "tidewire.testing"

for path in io.popen("ls tests/cases/*.lua"):lines() do
  describe(path:match "([%w_]+)%.lua$", function()
    for _, case in ipairs(testing.cases(dofile(path))) do
      it(case.name, case.run)
    end
  end)
end
