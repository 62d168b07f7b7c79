// Other spellings of cookies, as the libraries of apps read them: junk that they pass over, padding, bits that mean
// nothing, the other alphabet of base64, quotes, escapes.

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const ends = ["=", "%3D", "%20", "*", ".", "%00", "%0A", "A"];
const inside = ["*", "!", "%0A", "%20", "="];

const changes = {
  ...Object.fromEntries(ends.map((junk) => [`${junk} behind`, (value) => value + junk])),
  ...Object.fromEntries(inside.map((junk) => [`${junk} inside`, (value) => value.slice(0, -5) + junk + value.slice(-5)])),
  ...Object.fromEntries([1, 2, 4, 8].map((bit) => [`spare bit ${bit}`, (value) => spare(value, bit)])),
  "* in a part before the last": (value) => inPart(value, (part) => `${part.slice(0, 4)}*${part.slice(4)}`),
  "= behind a part before the last": (value) => inPart(value, (part) => `${part}=`),
  "* before": (value) => `*${value}`,
  "+/ for -_": (value) => value.replaceAll("-", "+").replaceAll("_", "/"),
  "-_ for +/": (value) => value.replaceAll(/%2B|\+/gi, "-").replaceAll(/%2F|\//gi, "_"),
  "capitals": (value) => value.slice(0, -64) + value.slice(-64).toUpperCase(),
  "small escapes": (value) => value.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase()),
  "octal": (value) => `"\\${octal(value[0])}${value.slice(1)}"`,
  "octal at the end": (value) => `"${value.slice(0, -1)}\\${octal(value.at(-1))}"`,
  "backslash": (value) => `"\\${value}"`,
  "escaped": (value) => `%${hex(value[0])}${value.slice(1)}`,
  "escaped twice": (value) => `%25${hex(value[0])}${value.slice(1)}`,
  "as JSON": (value) => `j:${value}`,
};

/** [name, cookies]: in each, one of the cookies is spelled in another way. */
export function* spellings(cookies) {
  const pairs = cookies.split("; ").map((pair) => pair.match(/^([^=]*)=(.*)$/).slice(1));
  for (const [name, change] of Object.entries(changes)) {
    for (const [at, [own, value]] of pairs.entries()) {
      const changed = change(value);
      if (changed === value) continue;
      const sent = pairs.with(at, [own, changed]).map((pair) => pair.join("="));
      yield [`${own}: ${name}`, sent.join("; ")];
    }
  }
}

/** With another last letter, which decodes to the same bytes if its bits are not used. */
function spare(value, bit) {
  const [, start, last, padding] = value.match(/^(.*?)(.)((?:=|%3D)*)$/);
  return start + (LETTERS[LETTERS.indexOf(last) ^ bit] ?? last) + padding;
}

function inPart(value, change) {
  const parts = value.split(".");
  if (parts.length < 3) return value;
  return parts.with(-2, change(parts.at(-2))).join(".");
}

function octal(letter) {
  return letter.charCodeAt(0).toString(8).padStart(3, "0");
}

function hex(letter) {
  return letter.charCodeAt(0).toString(16);
}
