local decode_json = require("tidewire").processors.decode_json

return {
  processor = decode_json { "event" },
  cases = {
    {
      "a string with an object becomes the object",
      given = [[{"event":"{\"id\":\"v1\",\"currentTime\":0}"}]],
      expect = [[{"event":{"id":"v1","currentTime":0}}]],
    },
    {
      "numbers keep their exact text",
      given = [[{"event":"{\"n\":123456789012345678901234567890,\"x\":1.50,\"e\":1E2}"}]],
      expect = [[{"event":{"n":123456789012345678901234567890,"x":1.50,"e":1E2}}]],
    },
    {
      "a lone number of thirty digits is exact too",
      given = [[{"event":"123456789012345678901234567890"}]],
      expect = [[{"event":123456789012345678901234567890}]],
    },
    { "null and booleans are values", given = [[{"event":"null"}]], expect = [[{"event":null}]] },
    { "an empty array stays an array", given = [[{"event":" [] "}]], expect = [[{"event":[]}]] },
    {
      "a string that is no JSON stays by default",
      given = [[{"event":"input_a=1&input_b="}]],
      expect = [[{"event":"input_a=1&input_b="}]],
    },
    { "an empty string stays", given = [[{"event":""}]], expect = [[{"event":""}]] },
    {
      "what is no string stays",
      processor = decode_json { "*" },
      given = [[{"a":1.0,"b":null,"c":["[]"],"d":{"e":"{}"},"f":"[1]"}]],
      expect = [[{"a":1.0,"b":null,"c":["[]"],"d":{"e":"{}"},"f":[1]}]],
    },
    { "a missing field is fine", given = [[{"name":"a"}]], expect = [[{"name":"a"}]] },
    {
      "invalid text fails when it is not to be kept",
      processor = decode_json { "event", keep_invalid = false },
      given = [[{"event":"{"}]],
      expect = [[{"event":"{"}]],
      fails = "decode_json: event: ",
    },
    {
      "invalid text can end the event's way",
      processor = decode_json { "event", keep_invalid = false, on_error = "drop" },
      given = { [[{"event":"{"}]], [[{"event":"{}"}]] },
      expect = { [[{"event":{}}]] },
      fails = "decode_json: event: ",
    },
    {
      "a wildcard decodes every element of an array",
      processor = decode_json { "list[*]" },
      given = [[{"list":["1","[2]","x",3]}]],
      expect = [[{"list":[1,[2],"x",3]}]],
    },
    {
      "text is decoded once, not again inside",
      given = [[{"event":"{\"inner\":\"{}\"}"}]],
      expect = [[{"event":{"inner":"{}"}}]],
    },
    {
      "unicode, escapes and equal keys are kept",
      given = [[{"event":"{\"k\":\"\\u00e9\",\"ü\":\"日本\",\"k\":2}"}]],
      expect = [[{"event":{"k":"\u00e9","ü":"日本","k":2}}]],
    },
  },
}
