/** Without a graphics card: the image is coloured once per change of window or map, the browser moves and scales the result. */
import { colourTable } from './colour-maps.ts'
import type { Frame } from './frame-levels.ts'
import { levelFor } from './painter.ts'
import type { Painter, Picture } from './painter.ts'

export function createCanvasPainter(canvas: HTMLCanvasElement): Painter | undefined {
  const context = canvas.getContext('2d', { alpha: false })
  if (context === null) return undefined
  const sheet = document.createElement('canvas')
  const paper = sheet.getContext('2d', { alpha: false })
  if (paper === null) return undefined
  let frame: Frame | undefined
  let colouredAs = ''

  const colour = (shown: Frame, picture: Picture, level: number): void => {
    const copy = shown.levels[level - 1]
    const useMax = picture.reduction === 'max'
    const stored = copy === undefined ? shown.pixels : useMax ? copy.max : copy.mean
    const scale = copy === undefined || useMax ? 1 : 1 / copy.meanScale
    const from = copy === undefined || useMax ? -shown.offset : copy.meanFrom
    const table = colourOfStored(picture, scale, from)
    sheet.width = copy?.width ?? shown.width
    sheet.height = copy?.height ?? shown.height
    const image = paper.createImageData(sheet.width, sheet.height)
    const out = new Uint32Array(image.data.buffer)
    for (let index = 0; index < stored.length; index += 1) out[index] = table[stored[index]!]!
    paper.putImageData(image, 0, 0)
  }

  return {
    name: 'canvas',
    show: (next) => {
      frame = next
      colouredAs = ''
    },
    draw: (picture) => {
      const width = Math.round(picture.view.width * picture.density)
      const height = Math.round(picture.view.height * picture.density)
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width
        canvas.height = height
      }
      context.setTransform(1, 0, 0, 1, 0, 0)
      context.fillStyle = '#14171a'
      context.fillRect(0, 0, width, height)
      if (frame === undefined) return
      const { placement, density, window } = picture
      const level = levelFor(1 / (placement.zoom * density), frame.levels.length)
      const coloring = [level, picture.reduction, window.low, window.high, picture.map, picture.inverted].join(' ')
      if (coloring !== colouredAs) {
        colour(frame, picture, level)
        colouredAs = coloring
      }
      const scale = placement.zoom * density
      context.imageSmoothingEnabled = scale < 1
      context.drawImage(
        sheet,
        width / 2 - placement.x * scale,
        height / 2 - placement.y * scale,
        frame.width * scale,
        frame.height * scale,
      )
    },
    close: () => {
      sheet.width = 0
    },
  }
}

/** Colour of every stored value: 65 536 entries are faster than a formula per pixel. */
function colourOfStored(picture: Picture, scale: number, from: number): Uint32Array {
  const colours = new Uint32Array(colourTable(picture.map, picture.inverted).buffer)
  const table = new Uint32Array(65_536)
  const span = picture.window.high - picture.window.low
  for (let stored = 0; stored < table.length; stored += 1) {
    const bright = (stored * scale + from - picture.window.low) / span
    table[stored] = colours[Math.min(255, Math.max(0, Math.round(bright * 255)))]!
  }
  return table
}
