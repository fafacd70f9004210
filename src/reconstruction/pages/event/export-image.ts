/** The picture to take along: what is on screen with a caption that says what it is. */
export function captioned(picture: HTMLCanvasElement, lines: string[], density: number): HTMLCanvasElement {
  const line = 17 * density
  const margin = 10 * density
  const sheet = document.createElement('canvas')
  sheet.width = picture.width
  sheet.height = picture.height + lines.length * line + margin * 1.6
  const context = sheet.getContext('2d')
  if (context === null) return picture
  context.fillStyle = '#ffffff'
  context.fillRect(0, 0, sheet.width, sheet.height)
  context.drawImage(picture, 0, 0)
  context.textBaseline = 'middle'
  lines.forEach((text, index) => {
    context.font = `${index === 0 ? '600 ' : ''}${12 * density}px system-ui, sans-serif`
    context.fillStyle = index === 0 ? '#1d2126' : '#59616b'
    context.fillText(text, margin, picture.height + margin * 0.8 + (index + 0.5) * line, sheet.width - 2 * margin)
  })
  return sheet
}

export function download(canvas: HTMLCanvasElement, name: string): void {
  canvas.toBlob((blob) => {
    if (blob !== null) save(blob, name)
  }, 'image/png')
}

/** A text of ours, such as a table, as a file. */
export function saveText(text: string, name: string): void {
  save(new Blob([text], { type: 'text/csv' }), name)
}

function save(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  // The browser reads the blob after the click returned.
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
}
