-- expect: only ask for "count"
return function(_)
  collectgarbage "stop"
end
