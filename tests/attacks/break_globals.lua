-- expect: ok
return function(_)
  local tw = require "tidewire"
  local globals = _G
  for key in pairs(globals) do
    globals[key] = nil
  end
  tw.router { processors = { tw.processors.set { x = 1 } }, backends = { a = tw.backends.null {} } }
end
