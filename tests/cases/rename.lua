local rename = require("tidewire").processors.rename

return {
  processor = rename { ["data.ts"] = "data.time" },
  cases = {
    {
      "a field moves to its new name",
      given = [[{"name":"a","data":{"ts":"t1","k":1}}]],
      expect = [[{"name":"a","data":{"k":1,"time":"t1"}}]],
    },
    {
      "a missing field is fine",
      given = [[{"name":"a","data":{"k":1}}]],
      expect = [[{"name":"a","data":{"k":1}}]],
    },
    {
      "a number of thirty digits is moved exactly",
      given = [[{"data":{"ts":123456789012345678901234567890}}]],
      expect = [[{"data":{"time":123456789012345678901234567890}}]],
    },
    {
      "a fraction keeps its text",
      given = [[{"data":{"ts":1.10000000000000000000}}]],
      expect = [[{"data":{"time":1.10000000000000000000}}]],
    },
    {
      "null and empty containers are moved as they are",
      processor = rename { a = "x", b = "y", c = "z" },
      given = [[{"a":null,"b":[],"c":{}}]],
      expect = [[{"x":null,"y":[],"z":{}}]],
    },
    {
      "a container moves with all that it holds",
      processor = rename { ["data.user"] = "context.user" },
      given = [=[{"data":{"user":{"id":1.0,"tags":["ü",[]],"big":12345678901234567890}}}]=],
      expect = [=[{"data":{},"context":{"user":{"id":1.0,"tags":["ü",[]],"big":12345678901234567890}}}]=],
    },
    {
      "a value that stands at the target is replaced",
      given = [[{"data":{"time":"old","ts":"new"}}]],
      expect = [[{"data":{"time":"new"}}]],
    },
    {
      "a value may move into an object of its own old name",
      processor = rename { user = "user.id" },
      given = [[{"user":7}]],
      expect = [[{"user":{"id":7}}]],
    },
    {
      "a value may move out of the object that is its target",
      processor = rename { ["user.id"] = "user" },
      given = [[{"user":{"id":7,"gone":true}}]],
      expect = [[{"user":7}]],
    },
    {
      "a target below a scalar fails and leaves the event as it was",
      processor = rename { a = "b.c" },
      given = [[{"a":1,"b":2}]],
      expect = [[{"a":1,"b":2}]],
      fails = "rename: ",
    },
    {
      "of equal keys the last moves and all go",
      given = [[{"data":{"ts":1,"k":0,"ts":2}}]],
      expect = [[{"data":{"k":0,"time":2}}]],
    },
    {
      "an element of an array moves out and the gap closes",
      processor = rename { ["list[0]"] = "first" },
      given = [[{"list":[1,2,3]}]],
      expect = [[{"list":[2,3],"first":1}]],
    },
  },
}
