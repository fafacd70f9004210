/** How the launcher speaks: one line of progress on standard error; errors that say what to do. */

export class SetUpError extends Error {
  constructor(message, hint) {
    super(message)
    this.hint = hint
  }
}

export function explain(error) {
  if (error instanceof SetUpError) process.stderr.write(`error: ${error.message}\n  ${error.hint}\n`)
  else process.stderr.write(`error: Cygnet could not be set up.\n${error instanceof Error ? error.stack : error}\n`)
}

/** Shows "text … 12 s" until `done(words)`; on a terminal in one line, elsewhere a line at the start and each 10 s. */
export function startProgress(text) {
  const startedMs = Date.now()
  const isTerminal = process.stderr.isTTY
  const seconds = () => Math.round((Date.now() - startedMs) / 1000)
  const show = () =>
    process.stderr.write(isTerminal ? `\r\u001b[2K${text} … ${seconds()} s` : `${text} … ${seconds()} s\n`)
  show()
  const timer = setInterval(show, isTerminal ? 1000 : 10_000)
  return {
    done(words) {
      clearInterval(timer)
      process.stderr.write(`${isTerminal ? '\r\u001b[2K' : ''}${text}: ${words} (${seconds()} s)\n`)
    },
  }
}
