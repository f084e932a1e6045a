-- expect: ok
return function(_)
  table.sort, table.concat, math.type = nil, nil, nil local tw = require "tidewire" tw.router { processors = { function() end }, backends = { a = tw.backends.null {} } }
end
