-- expect: os.date: a format of 1000000 bytes is too long; 1000 is the limit
return function(_)
  return os.date(("%c"):rep(500000))
end
