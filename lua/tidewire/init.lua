--- init.lua: the module `tidewire`, put together from C functions and the files beside this.
--
-- C calls this chunk with the module, which holds already what C gives to it directly
-- (`event`, `drop`, `null` ...), and with `tidewire.core`, the C functions that the files
-- of the library check arguments for.

local tw, core = ...

local state = require "tidewire.state"
local timers = require "tidewire.timers"
local tracker = require "tidewire.tracker"
local tree = require "tidewire.router"

tw.router = core.entry(tree.router)
tw.on_error = core.entry(tree.on_error)
tw.tracker = core.entry(tracker.tracker)
tw.register_tracker = core.register_tracker
tw.unregister_tracker = core.unregister_tracker
tw.get_tracker = core.get_tracker
tw.emit = core.emit
tw.context = core.new_context
tw.every, tw.after = timers.every, timers.after
tw.state, tw.shared, tw.on_close = state.state, state.shared, state.on_close
core.set_hooks { timers.pop, timers.shift, tree.finish_script, state.export, state.import }
tw.locators = require "tidewire.locators"
tw.backends = require "tidewire.backends"
tw.processors = require "tidewire.processors"
