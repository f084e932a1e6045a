-- The routing job as one writes it by hand: lua5.4 job_by_hand.lua INPUT OUTPUT_FOLDER
package.path = arg[0]:gsub("[^/]*$", "?.lua")
local cjson = require "cjson"
local job = require "job"

local allowed = {}
for _, name in ipairs(job.allowed) do allowed[name] = true end

local files = {
  archive = assert(io.open(arg[2] .. "/archive.ndjson", "w")),
  video = assert(io.open(arg[2] .. "/video.ndjson", "w")),
}

for line in io.lines(arg[1]) do
  local event = cjson.decode(line)
  if allowed[event.name] then
    job.process(event)
    files[event.route]:write(cjson.encode(event), "\n")
  end
end

for _, file in pairs(files) do file:close() end
