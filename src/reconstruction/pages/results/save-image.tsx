/** A plot as a picture: SVG with its colours written in, or PNG at twice the size, with a caption that says what it is. */
import { Button } from '@mantine/core'
import type { ReactNode, RefObject } from 'react'
import { t } from '../messages.ts'

const styled = [
  'fill',
  'stroke',
  'stroke-width',
  'stroke-dasharray',
  'font-family',
  'font-size',
  'opacity',
  'fill-opacity',
]
const captionHeight = 22

export function SaveImage(props: { of: RefObject<SVGSVGElement | null>; name: string; caption: string }): ReactNode {
  const save = async (kind: 'svg' | 'png'): Promise<void> => {
    if (props.of.current === null) return
    const { text, width, height } = standAlone(props.of.current, props.caption)
    const svg = new Blob([text], { type: 'image/svg+xml' })
    download(kind === 'svg' ? svg : await painted(text, width, height), `${props.name}.${kind}`)
  }
  return (
    <>
      <Button size="compact-sm" variant="default" onClick={() => void save('png')}>
        {t('results.savePng')}
      </Button>
      <Button size="compact-sm" variant="default" onClick={() => void save('svg')}>
        {t('results.saveSvg')}
      </Button>
    </>
  )
}

/** A copy that needs no style sheet, on the paper of the page. */
function standAlone(original: SVGSVGElement, caption: string): { text: string; width: number; height: number } {
  const copy = original.cloneNode(true) as SVGSVGElement
  const ours = original.querySelectorAll<SVGElement>('*')
  copy.querySelectorAll<SVGElement>('*').forEach((element, index) => {
    const style = getComputedStyle(ours[index]!)
    for (const name of styled) {
      const value = style.getPropertyValue(name)
      if (value !== '') element.setAttribute(name, value)
    }
  })
  copy.querySelectorAll('.cy-chart-catch, .cy-chart-brush').forEach((element) => element.remove())
  const width = original.width.baseVal.value
  const height = original.height.baseVal.value + captionHeight
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  copy.setAttribute('height', String(height))
  copy.setAttribute('viewBox', `0 0 ${width} ${height}`)
  const body = getComputedStyle(document.body)
  const make = (name: string, attributes: Record<string, string>): SVGElement => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', name)
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
    return element
  }
  copy.prepend(make('rect', { width: String(width), height: String(height), fill: body.backgroundColor }))
  const font = { 'font-family': 'sans-serif', 'font-size': '11', fill: body.color }
  const words = make('text', { x: '10', y: String(height - 7), ...font })
  words.textContent = caption
  copy.append(words)
  const origin = make('desc', {})
  origin.textContent = window.location.href
  copy.prepend(origin)
  return { text: new XMLSerializer().serializeToString(copy), width, height }
}

async function painted(text: string, width: number, height: number): Promise<Blob> {
  const image = new Image()
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`
  await image.decode()
  const canvas = document.createElement('canvas')
  canvas.width = 2 * width
  canvas.height = 2 * height
  const context = canvas.getContext('2d')!
  context.scale(2, 2)
  context.drawImage(image, 0, 0, width, height)
  return await new Promise((done, fail) =>
    canvas.toBlob((blob) => (blob === null ? fail(new Error('no picture')) : done(blob)), 'image/png'),
  )
}

function download(blob: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
