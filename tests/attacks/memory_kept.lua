-- expect: any
return function(_)
  KEPT = {} while true do KEPT[#KEPT + 1] = ("x"):rep(1000) .. #KEPT end
end
