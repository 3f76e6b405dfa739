/** Bodies of the golden vectors that are not canonical, and the value that each is nevertheless. */

import type { BodyValue } from "../../../src/protocol/body.ts";

/** One body in one encoding: hexadecimal digits, or JSON text. */
export type EqualBody =
  & { readonly name: string; readonly value: BodyValue }
  & ({ readonly msgpack: string } | { readonly json: string });

const msgpack = (name: string, digits: string, value: BodyValue): EqualBody => ({
  name,
  value,
  msgpack: digits.replaceAll(" ", ""),
});
const json = (name: string, text: string, value: BodyValue): EqualBody => ({ name, value, json: text });

export const EQUAL_BODIES: readonly EqualBody[] = [
  msgpack("5 in 8 bits", "cc 05", 5),
  msgpack("5 in 16 bits", "cd 00 05", 5),
  msgpack("5 in 32 bits", "ce 00 00 00 05", 5),
  msgpack("5 in 64 bits", "cf 00 00 00 00 00 00 00 05", 5),
  msgpack("5 signed, in 8 bits", "d0 05", 5),
  msgpack("5 signed, in 64 bits", "d3 00 00 00 00 00 00 00 05", 5),
  msgpack("−5 in 64 bits", "d3 ff ff ff ff ff ff ff fb", -5),
  msgpack("−5 in 16 bits", "d1 ff fb", -5),
  msgpack("5 as a float32", "ca 40 a0 00 00", 5),
  msgpack("5 as a float64", "cb 40 14 00 00 00 00 00 00", 5),
  msgpack("2^53 − 1 as a float64", "cb 43 3f ff ff ff ff ff ff", 2 ** 53 - 1),
  msgpack("minus zero as a float64", "cb 80 00 00 00 00 00 00 00", 0),
  msgpack("minus zero as a float32", "ca 80 00 00 00", 0),
  msgpack("one half as a float32", "ca 3f 00 00 00", 0.5),
  msgpack("another not-a-number", "cb ff f8 00 00 00 00 00 01", NaN),
  msgpack("infinity as a float32", "ca 7f 80 00 00", Infinity),
  msgpack("2^53 as a signed integer", "d3 00 20 00 00 00 00 00 00", 2n ** 53n),
  msgpack("a string with 8 bits of length", "d9 02 68 69", "hi"),
  msgpack("a string with 16 bits of length", "da 00 02 68 69", "hi"),
  msgpack("a string with 32 bits of length", "db 00 00 00 02 68 69", "hi"),
  msgpack("bytes with 16 bits of length", "c5 00 01 ff", Uint8Array.of(255)),
  msgpack("bytes with 32 bits of length", "c6 00 00 00 01 ff", Uint8Array.of(255)),
  msgpack("an array with 16 bits of length", "dc 00 01 01", [1]),
  msgpack("an array with 32 bits of length", "dd 00 00 00 01 01", [1]),
  msgpack("a map with 16 bits of length", "de 00 01 a1 61 01", { a: 1 }),
  msgpack("a map with 32 bits of length, a key with 8", "df 00 00 00 01 d9 01 61 01", { a: 1 }),
  json("an integer with a fraction of zero", "5.0", 5),
  json("an integer with an exponent", "1.5e1", 15),
  json("minus zero", "-0", 0),
  json("minus zero with a fraction", "-0.0", 0),
  json("2^53 − 1 with an exponent", "9.007199254740991e15", 2 ** 53 - 1),
  json("2^53 in digits is the float", "9007199254740992", 2 ** 53),
  json("2^60 in digits is the float", "1152921504606846976", 2 ** 60),
  json("digits beyond float64 are the nearest float", "9007199254740993", 2 ** 53),
  json("too small for a float is zero", "1e-999", 0),
  json("a string with escapes", '"\\u0068\\u0069\\n\\/"', "hi\n/"),
  json("a surrogate pair in escapes", '"\\ud83d\\ude00"', "😀"),
  json("white space", ' { "a" : [ 1 , 2 ] } ', { a: [1, 2] }),
  json("an escape with white space", '{ "$bin" : "_w" }', Uint8Array.of(255)),
  json("an escape that is escaped", '{"\\u0024bin":"_w"}', Uint8Array.of(255)),
  json("−2^63", '{"$int":"-9223372036854775808"}', -(2n ** 63n)),
];
