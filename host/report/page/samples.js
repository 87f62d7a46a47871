// The samples of a timeline: unpacked once, and reduced to what a chart's pixels show each time that the view changes.

// Joins four planes of bytes to 32-bit integers, the lowest bytes first.
function words(bytes, start, count) {
  const found = new Uint32Array(count);
  for (let plane = 0; plane < 4; plane += 1) {
    const from = start + plane * count;
    const shift = plane * 8;
    for (let at = 0; at < count; at += 1) found[at] |= bytes[from + at] << shift;
  }
  return found;
}

// Unpacks a line to times in seconds and values.
export async function unpack(line) {
  const packed = Uint8Array.from(atob(line.data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const steps = words(bytes, 0, line.count);
  const values = new Float32Array(words(bytes, 4 * line.count, line.count).buffer);
  const times = new Float64Array(line.count);
  let sum = 0;
  for (let at = 0; at < line.count; at += 1) {
    sum += steps[at];
    times[at] = sum / 1e6;
  }
  line.data = "";
  return { times, values };
}

// The place of the first time that is not before `time`.
export function placeOf(times, time) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The points of a line between two times. Of more than four points a column, the first, lowest, highest and last of each
// column are kept, which draws the same pixels (Jugel et al., "M4", VLDB 2014).
export function view({ times, values }, from, to, columns) {
  const start = Math.max(0, placeOf(times, from) - 1);
  const end = Math.min(times.length, placeOf(times, to) + 1);
  const count = end - start;
  if (count <= 4 * columns) {
    return Array.from({ length: count }, (_, at) => [times[start + at], values[start + at]]);
  }
  const points = [];
  const size = count / columns;
  for (let column = 0; column < columns; column += 1) {
    const first = start + Math.floor(column * size);
    const last = Math.min(end, start + Math.floor((column + 1) * size)) - 1;
    let low = first;
    let high = first;
    for (let at = first + 1; at <= last; at += 1) {
      if (values[at] < values[low]) low = at;
      if (values[at] > values[high]) high = at;
    }
    const places = [...new Set([first, Math.min(low, high), Math.max(low, high), last])];
    for (const at of places) points.push([times[at], values[at]]);
  }
  return points;
}
