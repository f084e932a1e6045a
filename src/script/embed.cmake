# Writes the Lua modules MODULES (paths below ROOT) into the C file OUT; see embedded.h.
set(arrays "")
set(table "")
set(number 0)
foreach(path IN LISTS MODULES)
  file(READ ${ROOT}/${path} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "\\.lua$" "" name ${path})
  string(REGEX REPLACE "/init$" "" name ${name})
  string(REPLACE "/" "." name ${name})
  string(APPEND arrays "static const unsigned char module_${number}[] = {${bytes}0};\n")
  string(APPEND table "    {\"${name}\", \"@${path}\", (const char *)module_${number}, "
                      "sizeof module_${number} - 1},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "/* Made by embed.cmake from the Lua modules. */\n"
     "#include \"script/embedded.h\"\n\n${arrays}\n"
     "const tw_embedded tw_embedded_modules[] = {\n${table}    {NULL, NULL, NULL, 0}};\n")
