// The same in JavaScript: gives each JSON object a field `score`, which is the length of its field `text`.

export function apply(origin, records) {
  return records.map(({ value }) => {
    try {
      return { tag: "value", val: encode(JSON.stringify(score(JSON.parse(decode(value))))) };
    } catch (error) {
      return { tag: "refused", val: String(error) };
    }
  });
}

function score(object) {
  if (typeof object.text !== "string") throw new Error("there is no text");
  object.score = [...object.text].length;
  return object;
}

// QuickJS has no TextDecoder and no TextEncoder.
function decode(bytes) {
  return decodeURIComponent(escape(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")));
}

function encode(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text)), (byte) => byte.charCodeAt(0));
}
