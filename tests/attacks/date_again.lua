-- expect: stopped after
return function(_)
  local format = ("%c"):rep(500)
  while true do
    os.date(format)
  end
end
