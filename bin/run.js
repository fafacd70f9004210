/** Runs a program in the checkout and keeps the end of what it says. */
import { spawn } from 'node:child_process'

/** Resolves with its exit code ('ENOENT' if there is no such program) and its last words. */
export function run(program, argv, cwd, environment = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, argv, {
      cwd,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const keep = (chunk) => {
      output = (output + chunk).slice(-8000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.once('error', (error) => resolve({ code: error.code, output }))
    child.once('close', (code) => resolve({ code, output }))
  })
}
