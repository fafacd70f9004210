/**
 * Colour maps, 256 entries each. Cividis (Nuñez, Anderton, Renslow 2018) and viridis and inferno (Smith, van der Walt 2015) as
 * polynomials fitted to the published tables; all are safe for colour-blind eyes and print well.
 */
export const colourMapNames = ['cividis', 'viridis', 'inferno', 'gray'] as const
export type ColourMapName = (typeof colourMapNames)[number]

type Rgb = [red: number, green: number, blue: number]

const cividis = [
  [-4.54, -35.34, 2381.73, -6402.7, 7024.72, -2710.57],
  [32.49, 170.73, 52.82, -131.46, 176.58, -67.37],
  [81.24, 442.36, -2482.43, 6167.24, -6614.94, 2475.67],
]
const viridis = [
  [0.277727, 0.105093, -0.330862, -4.63423, 6.22827, 4.776385, -5.435456],
  [0.005407, 1.404614, 0.214848, -5.799101, 14.179933, -13.745145, 4.645853],
  [0.3341, 1.38459, 0.095095, -19.332441, 56.690553, -65.353033, 26.312435],
]
const inferno = [
  [0.000219, 0.106513, 11.602493, -41.703996, 77.162936, -71.319428, 25.131126],
  [0.001651, 0.563956, -3.972854, 17.436399, -33.402359, 32.626064, -12.242669],
  [-0.019481, 3.932712, -15.942394, 44.354145, -81.807309, 73.20952, -23.070325],
]

function polynomial(coefficients: number[], at: number): number {
  return coefficients.reduceRight((sum, coefficient) => sum * at + coefficient, 0)
}

function byte(value: number): number {
  return Math.min(255, Math.max(0, Math.round(value)))
}

/** Colour for a brightness of 0 (low end of the window) to 1. */
export function colourAt(name: ColourMapName, at: number): Rgb {
  if (name === 'gray') return [byte(at * 255), byte(at * 255), byte(at * 255)]
  if (name !== 'cividis') {
    const of = name === 'viridis' ? viridis : inferno
    return of.map((coefficients) => byte(polynomial(coefficients, at) * 255)) as Rgb
  }
  return cividis.map((coefficients) => byte(polynomial(coefficients, at))) as Rgb
}

/** 256 RGBA entries, reversed when inverted. */
export function colourTable(name: ColourMapName, inverted: boolean): Uint8Array<ArrayBuffer> {
  const table = new Uint8Array(256 * 4)
  for (let index = 0; index < 256; index += 1) {
    const [red, green, blue] = colourAt(name, (inverted ? 255 - index : index) / 255)
    table.set([red, green, blue, 255], index * 4)
  }
  return table
}

/** CSS gradient of a map, for the legend. */
export function gradientOf(name: ColourMapName, inverted: boolean): string {
  const stops = Array.from({ length: 13 }, (_, index) => {
    const [red, green, blue] = colourAt(name, (inverted ? 12 - index : index) / 12)
    return `rgb(${red} ${green} ${blue})`
  })
  return `linear-gradient(to right, ${stops.join(', ')})`
}
