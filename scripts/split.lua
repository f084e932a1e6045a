-- split.lua: makes one event of many, keeps a share of the users, and fails safely.
--
--   tidewire run scripts/split.lua scripts/sample-events.ndjson
--
-- It writes into out/split/:
--
--   items.ndjson     an event for each item of each paid order
--   sample.ndjson    all events of about a third of the users, the same ones in every run
--   answers.ndjson   quiz answers; an answer that the check below does not expect is kept
--                    as a dead letter instead, in dead.ndjson
local tw = require "tidewire"

local p = tw.processors

local function items_of(order)
  local items = {}
  for i, item in ipairs(order.data.items) do
    items[i] = {
      name = "order.item",
      timestamp = order.timestamp,
      context = order.context,
      data = { order = order.data.order, item = item },
    }
  end
  return tw.split(table.unpack(items))
end

-- A processor that raises an error has failed; its `on_error` says what becomes of the event.
local function check_answer(event)
  local answer = event.data.answer
  assert(type(answer) == "string" or answer == tw.null, "an answer is a letter or null")
end

local function file(name)
  return tw.backends.file { path = ("out/split/%s.ndjson"):format(name) }
end

return tw.router {
  backends = {
    items = tw.router {
      processors = { p.allowlist { "order.paid" }, items_of },
      backends = { file = file "items" },
    },
    sample = tw.router {
      processors = { p.sample { rate = 1 / 3, by = "context.user_id" } },
      backends = { file = file "sample" },
    },
    answers = tw.router {
      processors = {
        p.allowlist { "quiz.answered" },
        { check_answer, name = "check_answer", on_error = "dead_letter" },
      },
      backends = { file = file "answers" },
    },
  },
}
