/** Frames and bodies of the golden vectors that are spelt by hand, with what must become of them. */

import type { RuleId } from "../../../src/protocol/rules.ts";

/** What the decoder of the refusals is given; small, so that the vectors are. */
export const VECTOR_LIMITS = { frameBytes: 1_048_576, bodyBytes: 64 };

/** A frame: text or the hexadecimal digits of binary. */
type SourceFrame = { readonly text: string } | { readonly hex: string };

/** A frame, on a conduit of one subprotocol. */
export type Case = { readonly name: string; readonly subprotocol: "msgpack" | "json" } & SourceFrame;

function msgpack(name: string, digits: string): Case {
  return { name, subprotocol: "msgpack", hex: digits.replaceAll(" ", "") };
}

function json(name: string, text: string): Case {
  return { name, subprotocol: "json", text };
}

function refused(error: RuleId, cases: readonly Case[]): (Case & { error: RuleId })[] {
  return cases.map((one) => ({ ...one, error }));
}

const many = (count: number, digits: string) => digits.repeat(count);

/** Frames that break a rule; nothing of them is taken. */
export const REFUSALS: readonly (Case & { readonly error: RuleId })[] = [
  ...refused("frame.batch", [
    { name: "a text frame on a MessagePack conduit", subprotocol: "msgpack", text: '["ack",0]' },
    { name: "a binary frame on a JSON conduit", subprotocol: "json", hex: "920300" },
    msgpack("a message cut short", "94 14 02 01 c4 03 a2"),
    msgpack("a message that lacks its last field", "92 03"),
    msgpack("a whole message, then half of one", "92 03 00 92 03"),
    msgpack("the byte 0xc1", "c1"),
    msgpack("the byte 0xc1 in a header", "92 03 c1"),
    msgpack("an integer in place of a message", "03"),
    msgpack("a map in place of a message", "81 a1 61 01"),
    msgpack("a string in place of a message", "a3 61 63 6b"),
    msgpack("an extension type in a header", "92 03 d4 01 00"),
    msgpack("a timestamp in a field that would be ignored", "93 03 00 d6 ff 00 00 00 00"),
    msgpack("an array of 2^32 − 1 elements that are not there", "dd ff ff ff ff 03 00"),
    msgpack("a map of 2^32 − 1 entries that are not there", "92 07 df ff ff ff ff a0 00"),
    msgpack("a string of 2^32 − 1 bytes that are not there", "92 09 81 a4 61 75 74 68 db ff ff ff ff 61"),
    msgpack("a body of 2^32 − 1 bytes that are not there", "94 14 02 01 c6 ff ff ff ff a2"),
    json("no JSON", "hello"),
    json("an object in place of a message", '{"ack":0}'),
    json("a string in place of a message", '"ack"'),
    json("an array that does not end", '["ack",0'),
    json("a trailing comma", '["ack",0,]'),
    json("a leading comma", '[,"ack",0]'),
    json("two messages without a line feed between them", '["ack",0]["ack",0]'),
    json("two messages with a comma between them", '["ack",0],["ack",0]'),
    json("a line feed inside a message", '["ack",\n0]'),
    json("a string that does not end", '["close",{"reason":"x'),
    json("a control character in a string", '["close",{"reason":"\u0001","detail":""}]'),
    json("an escape that JSON does not have", '["close",{"reason":"\\x41","detail":""}]'),
    json("a number with a leading zero", '["ack",01]'),
    json("a number that begins with a point", '["ack",.5]'),
    json("a number that begins with plus", '["ack",+1]'),
    json("NaN as a word", '["message",2,1,NaN]'),
    json("single quotes", "['ack',0]"),
    json("a comment", '["ack",0] // done'),
    json("a byte order mark before the first message", '\ufeff["ack",0]'),
    json("a body that is no JSON", '["message",2,1,{"a"}]'),
    json(
      "a body that is no JSON below the deepest level",
      `["message",2,1,${"[".repeat(40)}x${"]".repeat(40)}]`,
    ),
    json(
      "brackets that do not match below the deepest level",
      `["message",2,1,${"[".repeat(40)}${"]".repeat(39)}}]`,
    ),
  ]),
  ...refused("frame.cost", [
    msgpack("a body over bodyBytes", `94 14 02 01 c4 41 d9 3f ${many(63, "61")}`),
    json("a body over bodyBytes", `["message",2,1,"${"a".repeat(63)}"]`),
    msgpack("a volatile body over bodyBytes", `93 08 01 c4 41 d9 3f ${many(63, "61")}`),
    json("a volatile body over bodyBytes", `["volatile",1,"${"a".repeat(63)}"]`),
    msgpack("a header of 33 levels", `93 03 00 ${many(32, "91")} 00`),
    json("a header of 33 levels", `["ack",0,${"[".repeat(32)}0${"]".repeat(32)}]`),
  ]),
  ...refused("frame.header", [
    msgpack("an empty array", "90"),
    json("an empty array", "[]"),
    msgpack("a name in place of the tag", "92 a3 61 63 6b 00"),
    msgpack("a negative tag", "92 ff 00"),
    json("a negative tag", "[-1,0]"),
    msgpack("a tag with a fraction", "92 cb 40 08 00 00 00 00 00 01 00"),
    json("a tag with a fraction", "[3.5,0]"),
    json("null in place of the name", "[null,0]"),
    json("an array in place of the name", '[["ack"],0]'),
    msgpack("a field is missing", "91 03"),
    json("a field is missing", '["ack"]'),
    msgpack("a body is missing", "93 14 02 01"),
    json("a body is missing", '["message",2,1]'),
    msgpack("a string in place of a count", "92 03 a1 30"),
    json("a string in place of a count", '["ack","0"]'),
    msgpack("nil in place of a count", "92 03 c0"),
    json("null in place of a count", '["ack",null]'),
    msgpack("true in place of a count", "92 03 c3"),
    json("true in place of a count", '["ack",true]'),
    msgpack("a negative count", "92 03 ff"),
    json("a negative count", '["ack",-1]'),
    msgpack("a negative 64-bit count", "92 03 d3 ff ff ff ff ff ff ff ff"),
    msgpack("a count with a fraction", "92 03 cb 3f e0 00 00 00 00 00 00"),
    json("a count with a fraction", '["ack",0.5]'),
    msgpack("a count of 2^53", "92 03 cf 00 20 00 00 00 00 00 00"),
    msgpack("a count of 2^53 as a float", "92 03 cb 43 40 00 00 00 00 00 00"),
    json("a count of 2^53", '["ack",9007199254740992]'),
    msgpack("a count that is no number", "92 03 cb 7f f8 00 00 00 00 00 00"),
    msgpack("a negative sequence number", "94 14 ff 01 c4 01 c0"),
    json("a negative sequence number", '["message",-1,1,null]'),
    msgpack("a body that is not binary", "94 14 02 01 a2 68 69"),
    msgpack("a boolean expected", "96 16 04 01 01 01 c4 01 2c"),
    json("a boolean expected", '["response",4,1,1,1,44]'),
    msgpack("an array in place of a map", "92 07 90"),
    json("an array in place of a map", '["close",[]]'),
    msgpack("bytes in place of a map", "92 07 c4 00"),
    msgpack("an entry is missing", "92 07 81 a6 72 65 61 73 6f 6e a1 78"),
    json("an entry is missing", '["close",{"reason":"x"}]'),
    json("null in place of an optional entry", '["refused",{"reason":"x","detail":"","retryAfter":null}]'),
    json(
      "an unknown durability",
      '["start",{"version":1,"challenge":"c","settings":{"durability":"solid"}}]',
    ),
    json("metadata with a value that is no string", '["open",1,1,{"service":"echo","metadata":{"n":1}}]'),
    msgpack(
      "metadata with a value that is no string",
      "94 10 01 01 82 a7 73 65 72 76 69 63 65 a1 61 a8 6d 65 74 61 64 61 74 61 81 a1 6e 01",
    ),
    json(
      "metadata over 4 KiB",
      `["open",1,1,{"service":"echo","metadata":{"k":"${"v".repeat(4091)}"}}]`,
    ),
    json("messageCredit below 16", '["open",1,1,{"service":"echo","messageCredit":15}]'),
    json("a service name over 256 bytes", `["open",1,1,{"service":"${"s".repeat(257)}"}]`),
    json("a reason over 256 bytes", `["close",{"reason":"${"r".repeat(257)}","detail":""}]`),
    json("a detail over 4096 characters", `["close",{"reason":"r","detail":"${"d".repeat(4097)}"}]`),
    json("a token over 128 characters", `["start",{"version":1,"challenge":"${"c".repeat(129)}"}]`),
    json(
      "an operation over 128 bytes",
      `["call",4,1,1,"m",null,{"operation":"${"o".repeat(129)}"}]`,
    ),
    msgpack("a key twice in a header", "92 09 82 a4 61 75 74 68 a0 a4 61 75 74 68 a0"),
    json("a key twice in a header", '["authorise",{"auth":"","auth":""}]'),
    json("a key twice in a header, once escaped", '["authorise",{"auth":"","\\u0061uth":""}]'),
    msgpack("the key __proto__ in a header", "92 09 82 a4 61 75 74 68 a0 a9 5f 5f 70 72 6f 74 6f 5f 5f 80"),
    json("the key __proto__ in a header", '["authorise",{"auth":"","__proto__":{}}]'),
    msgpack("a key of a header that is no string", "92 09 82 a4 61 75 74 68 a0 01 00"),
    msgpack("invalid UTF-8 in a header", "92 09 81 a4 61 75 74 68 a1 ff"),
    json("a lone surrogate in a header", '["authorise",{"auth":"\\ud800"}]'),
  ]),
  ...refused("frame.unknown", [
    msgpack("the tag 28", "93 1c 01 01"),
    json("the tag 28", "[28,1,1]"),
    msgpack("the tag 2^32", "92 ce ff ff ff ff 00"),
    json("an unknown name", '["gossip",1,1]'),
    json("a name in capitals", '["ACK",0]'),
    json("a name that objects inherit", '["toString",0]'),
    msgpack("a good message, then an unknown tag", "92 03 00 93 1c 01 01"),
    json("a good message, then an unknown name", '["ack",0]\n["gossip",1]'),
  ]),
];

/** Frames that are taken although they are not canonical, and the names of the vectors in `messages.json` that they mean. */
export const ACCEPTED: readonly (Case & { readonly messages: readonly string[] })[] = [
  ...[
    msgpack("an empty binary frame", ""),
    json("an empty text frame", ""),
    json("a text frame of white space", " \r\n\n"),
    msgpack("an unknown conduit message", "92 0b 01"),
    json("an unknown conduit message", "[11,1]"),
    msgpack(
      "the last unknown conduit message",
      "95 0f a1 78 c4 01 c1 81 a1 6b 90 cb 3f e0 00 00 00 00 00 00",
    ),
    json("an unknown conduit message with a body of any depth", "[15,[[[[]]]]]"),
  ].map((one) => ({ ...one, messages: [] })),
  ...[
    msgpack("a tag of 8 bits", "92 cc 03 00"),
    msgpack("a tag of 16 bits", "92 cd 00 03 00"),
    msgpack("a tag that is an integral float", "92 cb 40 08 00 00 00 00 00 00 00"),
    msgpack("a count of 8 bits", "92 03 cc 00"),
    msgpack("a count of 16 bits", "92 03 cd 00 00"),
    msgpack("a count of 32 bits", "92 03 ce 00 00 00 00"),
    msgpack("a count of 64 bits", "92 03 cf 00 00 00 00 00 00 00 00"),
    msgpack("a signed count of 8 bits", "92 03 d0 00"),
    msgpack("a signed count of 16 bits", "92 03 d1 00 00"),
    msgpack("a signed count of 32 bits", "92 03 d2 00 00 00 00"),
    msgpack("a signed count of 64 bits", "92 03 d3 00 00 00 00 00 00 00 00"),
    msgpack("a count that is a float32", "92 03 ca 00 00 00 00"),
    msgpack("a count that is a float64", "92 03 cb 00 00 00 00 00 00 00 00"),
    msgpack("a count that is minus zero", "92 03 cb 80 00 00 00 00 00 00 00"),
    msgpack("an array of 16 bits", "dc 00 02 03 00"),
    msgpack("an array of 32 bits", "dd 00 00 00 02 03 00"),
    msgpack("an extra field", "93 03 00 a5 65 78 74 72 61"),
    msgpack("extra fields of all kinds", "96 03 00 c0 81 a1 6b c4 01 ff 91 90 cb 3f e0 00 00 00 00 00 00"),
    msgpack("an unknown conduit message before it", "91 0c 92 03 00"),
    json("white space", ' [ "ack" ,\t0 ] \r'),
    json("a line feed after it", '["ack",0]\n'),
    json("empty lines around it", '\n\n["ack",0]\r\n\n'),
    json("the tag in place of the name", "[3,0]"),
    json("the name with an escape", '["\\u0061ck",0]'),
    json("a count with a fraction of zero", '["ack",0.0]'),
    json("a count with an exponent", '["ack",0e0]'),
    json("a count that is minus zero", '["ack",-0]'),
    json("an extra field", '["ack",0,{"more":[null,true,-1.5e3,"x"]}]'),
    json("an unknown conduit message before it", '[12]\n["ack",0]'),
  ].map((one) => ({ ...one, messages: ["ack 0"] })),
  ...[
    msgpack("a count beyond 32 bits as a float64", "92 03 cb 41 f0 00 00 00 00 00 00"),
    json("a count beyond 32 bits with an exponent", '["ack",4.294967296e9]'),
  ].map((one) => ({ ...one, messages: ["ack 2^32"] })),
  ...[
    msgpack("an unknown entry", "92 09 82 a4 6d 6f 72 65 90 a4 61 75 74 68 aa 42 65 61 72 65 72 20 6e 65 77"),
    json("an unknown entry", '["authorise",{"auth":"Bearer new","more":[]}]'),
  ].map((one) => ({ ...one, messages: ["authorise"] })),
  ...[
    msgpack(
      "nil in place of an optional field at the end",
      "97 15 04 01 01 a3 61 64 64 c4 05 81 a2 62 79 02 c0",
    ),
    json("null in place of an optional field at the end", '["call",4,1,1,"add",{"by":2},null]'),
  ].map((one) => ({ ...one, messages: ["call"] })),
  {
    ...msgpack("several messages", "92 03 00 92 04 07 94 14 02 01 c4 03 a2 68 69"),
    messages: ["ack 0", "ping", "message"],
  },
  {
    ...json("several messages", '["ack",0]\n["ping",7]\n["message",2,1,"hi"]'),
    messages: ["ack 0", "ping", "message"],
  },
];

/** One body that `frame.body` refuses: as MessagePack, as JSON, or as both. */
export interface MalformedBody {
  readonly name: string;
  readonly msgpack?: string;
  readonly json?: string;
}

const bad = (name: string, digits: string | null, text?: string): MalformedBody => ({
  name,
  ...(digits === null ? {} : { msgpack: digits.replaceAll(" ", "") }),
  ...(text === undefined ? {} : { json: text }),
});

/** Bodies for which a message is taken and its connection ends with `malformed-body`. */
export const MALFORMED_BODIES: readonly MalformedBody[] = [
  bad("nothing at all", ""),
  bad("cut short", "a5 68 65"),
  bad("two values", "01 02"),
  bad("a byte after a string", "a2 68 69 00"),
  bad("the byte 0xc1", "c1"),
  bad("the byte 0xc1 in an array", "91 c1"),
  bad("an extension type", "d4 01 00"),
  bad("a timestamp", "d6 ff 00 00 00 00"),
  bad("an extension of declared length", "c7 01 05 00"),
  bad("an integer as a key", "81 01 02"),
  bad("nil as a key", "81 c0 02"),
  bad("bytes as a key", "81 c4 01 61 02"),
  bad("a key twice", "82 a1 61 01 a1 61 02", '{"a":1,"a":2}'),
  bad("a key twice, in two lengths", "82 a1 61 01 d9 01 61 02", '{"a":1,"\\u0061":2}'),
  bad(
    "a key twice among many",
    `de 00 12 ${Array.from({ length: 17 }, (_, i) => `a1 ${(0x61 + i).toString(16)} 00`).join(" ")} a1 61 00`,
    `{${Array.from({ length: 17 }, (_, i) => `"${String.fromCharCode(0x61 + i)}":0`).join()},"a":0}`,
  ),
  bad("the key __proto__", "81 a9 5f 5f 70 72 6f 74 6f 5f 5f 01", '{"__proto__":1}'),
  bad(
    "the key __proto__ inside",
    "91 82 a1 61 01 a9 5f 5f 70 72 6f 74 6f 5f 5f 80",
    '[{"a":1,"__proto__":{}}]',
  ),
  bad("33 levels", `${"91".repeat(33)}00`, `${"[".repeat(33)}0${"]".repeat(33)}`),
  bad("33 levels of which the last is empty", `${"91".repeat(32)}80`, `${"[".repeat(32)}{}${"]".repeat(32)}`),
  bad("400 levels of maps", null, `${'{"a":'.repeat(400)}[1,{"b":"c"}]${"}".repeat(400)}`),
  bad("UTF-8 cut short", "a1 c3"),
  bad("a UTF-8 continuation alone", "a1 80"),
  bad("overlong UTF-8", "a2 c0 80"),
  bad("overlong UTF-8 of three bytes", "a3 e0 80 80"),
  bad("overlong UTF-8 of four bytes", "a4 f0 80 80 80"),
  bad("a surrogate in UTF-8", "a3 ed a0 80", '"\\ud800"'),
  bad("a low surrogate alone", "a3 ed b0 80", '"\\udc00"'),
  bad("surrogates in the wrong order", "a6 ed b0 80 ed a0 80", '"\\udc00\\ud800"'),
  bad("UTF-8 beyond U+10FFFF", "a4 f4 90 80 80"),
  bad("UTF-8 of five bytes", "a5 f8 88 80 80 80"),
  bad("a key that is not UTF-8", "81 a1 ff 01", '{"\\ud83d":1}'),
  bad("an array whose elements are not there", "dd ff ff ff ff"),
  bad("a map whose entries are not there", "df ff ff ff ff"),
  bad("a map of 2^31 entries, whose count doubled is 2^32", "df 80 00 00 00 a0 00"),
  bad("a string whose bytes are not there", "db ff ff ff ff"),
  bad("bytes that are not there", "c6 ff ff ff ff"),
  bad("a length that is cut short", "d9"),
  bad("a float that is cut short", "cb 3f e0"),
  bad("a number beyond float64", null, "1e999"),
  bad("an escape with an unknown name", null, '{"$date":"2026-01-01"}'),
  bad("$bin that is no text", null, '{"$bin":[1]}'),
  bad("$bin with padding", null, '{"$bin":"AA=="}'),
  bad("$bin in the other alphabet", null, '{"$bin":"+/+/"}'),
  bad("$bin of a length that does not exist", null, '{"$bin":"AAAAA"}'),
  bad("$bin with bits left over", null, '{"$bin":"AB"}'),
  bad("$bin with white space", null, '{"$bin":"AA AA"}'),
  bad("$int that is no text", null, '{"$int":9007199254740993}'),
  bad("$int inside ±(2^53 − 1)", null, '{"$int":"9007199254740991"}'),
  bad("$int of 2^64", null, '{"$int":"18446744073709551616"}'),
  bad("$int below −2^63", null, '{"$int":"-9223372036854775809"}'),
  bad("$int with a leading zero", null, '{"$int":"09007199254740993"}'),
  bad("$int with a plus", null, '{"$int":"+9007199254740993"}'),
  bad("$float with a number", null, '{"$float":"1.5"}'),
  bad("$float in lower case", null, '{"$float":"nan"}'),
  bad("an escape inside an array", null, '[1,{"$bin":"="}]'),
];
