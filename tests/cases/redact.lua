local redact = require("tidewire").processors.redact

-- Digests are those of `printf %s TEXT | openssl dgst -sha256 -hmac k`.
local hash = redact { paths = { "context.email" }, with = "hash", key = "k" }

return {
  processor = redact { paths = { "context.email", "context.*.email" } },
  cases = {
    {
      "a value is masked with three stars",
      given = [[{"context":{"email":"ann@example.org","id":1}}]],
      expect = [[{"context":{"email":"***","id":1}}]],
    },
    {
      "a mask of your own may hold quotes",
      processor = redact { paths = { "a" }, with = "mask", mask = [["hidden"]] },
      given = [[{"a":"x"}]],
      expect = [[{"a":"\"hidden\""}]],
    },
    {
      "a wildcard finds the field in every member",
      given = [[{"context":{"a":{"email":"x"},"b":{"email":"y","k":1},"c":[{"email":"z"}],"d":7}}]],
      expect = [[{"context":{"a":{"email":"***"},"b":{"email":"***","k":1},"c":[{"email":"z"}],"d":7}}]],
    },
    {
      "two stars find it at any depth, also in arrays",
      processor = redact { paths = { "**.email" } },
      given = [=[{"email":"a","x":[{"email":"b"},[{"email":"c"}]],"y":{"email":{"email":"d"}}}]=],
      expect = [=[{"email":"***","x":[{"email":"***"},[{"email":"***"}]],"y":{"email":"***"}}]=],
    },
    {
      "every element of an array is masked",
      processor = redact { paths = { "emails[*]" } },
      given = [[{"emails":["a@example.org",null,7]}]],
      expect = [[{"emails":["***","***","***"]}]],
    },
    { "a missing field is fine", given = [[{"context":{}}]], expect = [[{"context":{}}]] },
    { "a context that is no object is fine", given = [[{"context":[]}]], expect = [[{"context":[]}]] },
    {
      "numbers, objects, arrays, booleans and null are masked too",
      processor = redact { paths = { "*" } },
      given = [[{"a":1,"b":{"c":"ann@example.org"},"d":["x"],"e":true,"f":null}]],
      expect = [[{"a":"***","b":"***","d":"***","e":"***","f":"***"}]],
    },
    {
      "none of equal keys survives",
      given = [[{"context":{"email":"first@example.org","email":"second@example.org"}}]],
      expect = [[{"context":{"email":"***"}}]],
    },
    {
      "equal keys on the way hide nothing",
      given = [[{"context":{"email":"first@example.org"},"context":{"id":1,"email":"second@example.org"},"context":{}}]],
      expect = [[{"context":{"email":"***"},"context":{"id":1,"email":"***"},"context":{}}]],
    },
    {
      "equal keys deep below a wildcard hide nothing",
      processor = redact { paths = { "**.email" }, with = "remove" },
      given = [=[{"a":[{"b":{"email":1},"b":{"email":2,"email":[{"email":3}]}}]}]=],
      expect = [=[{"a":[{"b":{},"b":{}}]}]=],
    },
    {
      "an escaped key is the same key",
      given = [[{"context":{"\u0065mail":"ann@example.org"}}]],
      expect = [[{"context":{"email":"***"}}]],
    },
    {
      "a hash is the keyed SHA-256 of the content",
      processor = hash,
      given = [[{"context":{"email":"ann@example.org"}}]],
      expect = [[{"context":{"email":"41f24aa7a0a25122a371ae3eed12c001f9a0c6a375357b4a7d69385b6b786037"}}]],
    },
    {
      "a string is hashed by its content, not by its escapes",
      processor = hash,
      given = { [[{"context":{"email":"é"}}]], [[{"context":{"email":"\u00e9"}}]] },
      expect = {
        [[{"context":{"email":"41b08e48379060d5566363083dabd4b2f9afd6e169af22d26522dbdc5e7a5134"}}]],
        [[{"context":{"email":"41b08e48379060d5566363083dabd4b2f9afd6e169af22d26522dbdc5e7a5134"}}]],
      },
    },
    {
      "numbers that differ past 64 bits have different hashes",
      processor = hash,
      given = {
        [[{"context":{"email":123456789012345678901234567890}}]],
        [[{"context":{"email":123456789012345678901234567891}}]],
      },
      expect = {
        [[{"context":{"email":"ff67e7273b932e0d872e3bb8a9e1c07d2581c16be81c91772ac10a3969f86da2"}}]],
        [[{"context":{"email":"6b6a04cc1a8a6572b4c611162ce22127cdbc9f1a8371ddb9ba3ec6731673446c"}}]],
      },
    },
    {
      "an object is hashed by its JSON text",
      processor = hash,
      given = [[{"context":{"email":{"a":[1.0,null]}}}]],
      expect = [[{"context":{"email":"f771b373cbadc407b3182558f360770ede305ac6f1f5388a356a28b3dfd81fcb"}}]],
    },
    {
      "removal takes the field out",
      processor = redact { paths = { "context.*.email", "list[*]" }, with = "remove" },
      given = [[{"context":{"a":{"email":"x","k":1}},"list":[1,2]}]],
      expect = [[{"context":{"a":{"k":1}},"list":[]}]],
    },
    {
      "what is not named stays byte for byte",
      given = [[{"context":{"email":"x"},"n":1.00,"big":123456789012345678901234567890,"u":"\u00e9"}]],
      expect = [[{"context":{"email":"***"},"n":1.00,"big":123456789012345678901234567890,"u":"\u00e9"}]],
    },
  },
}
