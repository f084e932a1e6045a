local rename_event = require("tidewire").processors.rename_event

return {
  processor = rename_event { play = "video.play", ["pause"] = "video.pause" },
  cases = {
    {
      "a name in the table is replaced",
      given = [[{"name":"play","data":{"play":1}}]],
      expect = [[{"name":"video.play","data":{"play":1}}]],
    },
    {
      "another name stays",
      given = [[{"name":"playing"}]],
      expect = [[{"name":"playing"}]],
    },
    { "an event without a name stays", given = [[{"data":{}}]], expect = [[{"data":{}}]] },
    { "a name that is no string stays", given = [[{"name":{"play":1}}]], expect = [[{"name":{"play":1}}]] },
    { "a null name stays", given = [[{"name":null}]], expect = [[{"name":null}]] },
    {
      "a name is replaced once, not again by its new name",
      processor = rename_event { a = "b", b = "c" },
      given = { [[{"name":"a"}]], [[{"name":"b"}]] },
      expect = { [[{"name":"b"}]], [[{"name":"c"}]] },
    },
    {
      "a name in unicode is replaced",
      processor = rename_event { ["größe"] = "size" },
      given = [[{"name":"gr\u00f6\u00dfe"}]],
      expect = [[{"name":"size"}]],
    },
  },
}
