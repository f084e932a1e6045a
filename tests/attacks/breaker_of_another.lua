-- expect: breaker expected
return function(event)
  require("tidewire.core").rest(event)
end
