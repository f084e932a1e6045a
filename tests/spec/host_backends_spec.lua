-- Backends that a Lua program offers to the script of a tracker.
local tw = require "tidewire"

describe("a script of a Lua program", function()
  local script

  local function write(text)
    local file = assert(io.open(script, "w"))
    file:write('local tw = require "tidewire"\n', text)
    file:close()
  end

  --- The message of a tracker that cannot be made, without its position.
  local function problem(declared)
    local ok, message = pcall(function()
      local made = tw.tracker(declared)
      return made
    end)
    assert.is_false(ok)
    return (message:gsub("^tests/spec/[%w_]+%.lua:%d+: ", ""))
  end

  before_each(function()
    script = os.tmpname()
  end)

  after_each(function()
    os.remove(script)
  end)

  it("names a backend of the program, and the program reads it", function()
    local orders = tw.backends.memory()
    write 'return tw.router { backends = { db = tw.backends.host "orders" } }'
    local tracker = tw.tracker {
      script = script,
      workers = 2,
      host_backends = { orders = orders },
      context_locator = tw.locators.default(),
    }
    for i = 1, 100 do
      assert(tracker:emit("order.paid", { n = i }))
    end
    assert(tracker:reload())
    assert(tracker:emit("order.paid", { n = 101 }))
    assert(tracker:flush())
    assert.are.equal(101, orders:count())
    assert.are.equal("order.paid", orders:get(101).name)
    assert.are.equal(101, orders:stats().sent)
    tracker:close()
  end)

  it("keeps the backend alive when the program lets go of it", function()
    write 'return tw.router { backends = { db = tw.backends.host "orders" } }'
    local tracker = tw.tracker { script = script, host_backends = { orders = tw.backends.memory() } }
    collectgarbage()
    collectgarbage()
    assert(tracker:emit "a")
    assert(tracker:flush())
    tracker:close()
  end)

  it("is refused at its line when it names what is not there, and the old one goes on", function()
    local orders = tw.backends.memory()
    write 'return tw.router { backends = { db = tw.backends.host "orders" } }'
    local tracker = tw.tracker { script = script, host_backends = { orders = orders } }
    write 'return tw.router { backends = { db = tw.backends.host "order" } }'
    local ok, message, code = tracker:reload()
    assert.is_nil(ok)
    assert.are.equal("script", code)
    assert.matches(':2: the host offers no backend "order"; did you mean "orders"? known: orders', message, 1, true)
    assert(tracker:emit "a")
    assert(tracker:flush())
    assert.are.equal(1, orders:count())
    tracker:close()
  end)

  it("gets no functions of the program, whose state the workers cannot enter", function()
    write "return tw.router {}"
    local message = problem { script = script, host_backends = { orders = { send = function() end } } }
    assert.matches("tracker: host_backends.orders is a table; it must be one of tidewire.backends", message, 1, true)
    assert.matches("functions of this Lua state cannot be called", message, 1, true)
    assert.matches("host_backends.orders is a router", problem {
      script = script,
      host_backends = { orders = tw.router {} },
    }, 1, true)
    assert.matches("host_backends.1 has no name", problem {
      script = script,
      host_backends = { tw.backends.memory() },
    }, 1, true)
    assert.matches("host_backends must be a table", problem { script = script, host_backends = 1 }, 1, true)
    assert.matches("a name must not be empty", problem {
      script = script,
      host_backends = { [""] = tw.backends.memory() },
    }, 1, true)
  end)

  it("alone can name them: in the program itself the backend is used as it is", function()
    local ok, message = pcall(function()
      return tw.backends.host "orders"
    end)
    assert.is_false(ok)
    assert.matches('backends.host "orders": no host offers anything here', message, 1, true)
    ok, message = pcall(function()
      return tw.processors.host "score"
    end)
    assert.is_false(ok)
    assert.matches('processors.host "score": no host offers anything here', message, 1, true)
  end)
end)
