---@meta _
-- The options of the backends that ship; docs/backends.md tells them in full.

---@class tidewire.FileOptions
---@field path string  may hold fields of time, such as `out/%F.ndjson`
---@field append? boolean  false empties the file when it is opened
---@field rotate_size? tidewire.Size
---@field rotate_interval? tidewire.Duration
---@field keep? integer  how many rotated files stay
---@field fsync? "never"|"flush"|"always"
---@field mode? string  octal, such as "0640"
---@field delivery? tidewire.DeliveryOptions

---@class tidewire.SqliteOptions
---@field path string
---@field table? string  "events"
---@field batch? integer  events in one transaction at most: 1000
---@field synchronous? "normal"|"full"
---@field busy_timeout? tidewire.Duration  "5s"
---@field delivery? tidewire.DeliveryOptions

---@class tidewire.MemoryOptions
---@field limit? integer  events at most
---@field delivery? tidewire.DeliveryOptions
