local remove = require("tidewire").processors.remove

return {
  processor = remove { "context.email", "data.*.secret" },
  cases = {
    {
      "a field is removed and its neighbours stay",
      given = [[{"name":"a","context":{"email":"x@example.org","id":1}}]],
      expect = [[{"name":"a","context":{"id":1}}]],
    },
    {
      "a missing field is fine",
      given = [[{"name":"a","context":{"id":1}}]],
      expect = [[{"name":"a","context":{"id":1}}]],
    },
    {
      "a way through a scalar leads nowhere",
      given = [[{"context":"email","data":[1,null,"secret"]}]],
      expect = [[{"context":"email","data":[1,null,"secret"]}]],
    },
    {
      "a wildcard matches every member of an object",
      given = [[{"data":{"a":{"secret":1,"k":1},"b":{"secret":{"deep":[]}},"c":{}}}]],
      expect = [[{"data":{"a":{"k":1},"b":{},"c":{}}}]],
    },
    {
      "a wildcard matches every element of an array",
      given = [[{"data":[{"secret":1},{"k":2},{"secret":null}]}]],
      expect = [[{"data":[{},{"k":2},{}]}]],
    },
    {
      "elements of an array are removed and the gaps close",
      processor = remove { "list[0]", "list[*].drop" },
      given = [[{"list":[{"n":1},{"n":2,"drop":true},{"n":3}]}]],
      expect = [[{"list":[{"n":2},{"n":3}]}]],
    },
    {
      "all elements go and the array stays one",
      processor = remove { "list[*]" },
      given = [[{"list":[1,2,3]}]],
      expect = [[{"list":[]}]],
    },
    {
      "two stars match at any depth",
      processor = remove { "**.token" },
      given = [[{"token":1,"a":{"token":2,"b":[{"token":3,"k":4}]}}]],
      expect = [[{"a":{"b":[{"k":4}]}}]],
    },
    {
      "every one of equal keys is removed",
      given = [[{"context":{"email":"a@example.org","id":1,"email":"b@example.org"}}]],
      expect = [[{"context":{"id":1}}]],
    },
    {
      "a null is removed as any value",
      given = [[{"context":{"email":null}}]],
      expect = [[{"context":{}}]],
    },
    {
      "a key with a dot or in unicode is quoted",
      processor = remove { 'data["a.b"]', 'data["naïve"]' },
      given = [[{"data":{"a.b":1,"a":{"b":2},"naïve":3}}]],
      expect = [[{"data":{"a":{"b":2}}}]],
    },
    {
      "what stays keeps its exact numbers",
      given = [[{"context":{"email":"x","n":0.10000000000000000000001},"i":-0,"big":98765432109876543210}]],
      expect = [[{"context":{"n":0.10000000000000000000001},"i":-0,"big":98765432109876543210}]],
    },
  },
}
