/** Text of a live log as it grows: colours of terminals removed, carriage returns obeyed, only the last lines kept. */
// oxlint-disable-next-line no-control-regex -- control characters are the point
const escapes = /\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)/g

export interface LogText {
  lines: string[]
  /** Lines that fell off the top. */
  dropped: number
}

export const emptyLog: LogText = { lines: [''], dropped: 0 }

/** Adds a piece. A progress bar that rewrites its line with carriage returns shows its last state, as in a terminal. */
export function appendLog(log: LogText, piece: string, keepLines: number): LogText {
  const incoming = piece.replaceAll(escapes, '').replaceAll('\r\n', '\n').split('\n')
  const lines = [...log.lines]
  const last = lines.pop() ?? ''
  incoming.forEach((text, index) => {
    const whole = index === 0 ? last + text : text
    const overwritten = whole.split('\r').filter((part, at, all) => part !== '' || at === all.length - 1)
    lines.push(
      overwritten.at(-1) === '' && overwritten.length > 1 ? (overwritten.at(-2) ?? '') : (overwritten.at(-1) ?? ''),
    )
  })
  const excess = Math.max(0, lines.length - keepLines)
  return { lines: excess === 0 ? lines : lines.slice(excess), dropped: log.dropped + excess }
}
