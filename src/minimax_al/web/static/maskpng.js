/** Masks as grey PNG files of 8 bits, exact and without a canvas: some browsers add noise to what a canvas returns. */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const HEAD = 8; // bytes of a chunk before its content: length and type
const TAIL = 4; // bytes of its checksum

/** The PNG file of class numbers, as an array of bytes. The pixels are copied first, so that they may change meanwhile. */
export async function encode({ width, height, pixels }) {
  const lines = new Uint8Array((width + 1) * height); // each line begins with its filter: 0, none
  for (let y = 0; y < height; y += 1) lines.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const content = await through(lines, new CompressionStream("deflate"));
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8; // bits; the rest is 0: grey, deflate, usual filters, not interlaced
  return joined([Uint8Array.from(SIGNATURE), chunk("IHDR", header), chunk("IDAT", content), chunk("IEND", new Uint8Array())]);
}

/** The class numbers of a file that `encode` has made: { width, height, pixels }. */
export async function decode(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const start = SIGNATURE.length + HEAD + 13 + TAIL;
  const content = file.subarray(start + HEAD, start + HEAD + view.getUint32(start));
  const lines = await through(content, new DecompressionStream("deflate"));
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1) pixels.set(lines.subarray(y * (width + 1) + 1, (y + 1) * (width + 1)), y * width);
  return { width, height, pixels };
}

async function through(bytes, stream) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

function chunk(type, content) {
  const made = new Uint8Array(HEAD + content.length + TAIL);
  const view = new DataView(made.buffer);
  view.setUint32(0, content.length);
  for (let at = 0; at < 4; at += 1) made[4 + at] = type.charCodeAt(at);
  made.set(content, HEAD);
  view.setUint32(HEAD + content.length, checksum(made.subarray(4, HEAD + content.length)));
  return made;
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? 0xedb88320 ^ (rest >>> 1) : rest >>> 1;
  return rest >>> 0;
});

/** CRC-32 of bytes. */
function checksum(bytes) {
  let rest = 0xffffffff;
  for (const byte of bytes) rest = TABLE[(rest ^ byte) & 255] ^ (rest >>> 8);
  return (rest ^ 0xffffffff) >>> 0;
}
