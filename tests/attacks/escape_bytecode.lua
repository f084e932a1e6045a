-- expect: attempt to load a binary chunk
return function(_)
  assert(load("\27Lua", "x", "b"))
end
