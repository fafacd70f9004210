interface Place {
  x: number
  y: number
}

/** Length of the part of a straight line inside a box (Liang and Barsky); undefined when none of it is. */
export function lineWithin(
  from: Place,
  to: Place,
  box: { x0: number; x1: number; y0: number; y1: number },
): number | undefined {
  let enter = 0
  let leave = 1
  const clip = (delta: number, distance: number): boolean => {
    if (delta === 0) return distance >= 0
    const at = distance / delta
    if (delta < 0) enter = Math.max(enter, at)
    else leave = Math.min(leave, at)
    return enter <= leave
  }
  const [dx, dy] = [to.x - from.x, to.y - from.y]
  const crosses =
    clip(-dx, from.x - box.x0) && clip(dx, box.x1 - from.x) && clip(-dy, from.y - box.y0) && clip(dy, box.y1 - from.y)
  return crosses ? (leave - enter) * Math.hypot(dx, dy) : undefined
}
