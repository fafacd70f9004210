/** Installs the packages of the lockfile, once per lockfile. */
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { run } from './run.js'
import { takeTurn } from './launch-lock.js'
import { SetUpError, startProgress } from './talk.js'

/** Resolves when node_modules is what package-lock.json says; the stamp is written after success only. */
export async function installPackages(root) {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  const stamp = join(root, 'node_modules', '.cygnet-stamp')
  const isInstalled = () => existsSync(stamp) && readFileSync(stamp, 'utf8').trim() === wanted
  if (isInstalled()) return
  const release = await takeTurn(join(root, '.cache', 'set-up.lock'))
  try {
    if (isInstalled()) return
    await npmCi(root)
    writeFileSync(stamp, `${wanted}\n`)
  } finally {
    release()
  }
}

async function npmCi(root) {
  const count = Object.keys(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages).length - 1
  const progress = startProgress(`installing ${count} packages`)
  const options = [
    '--ignore-scripts',
    '--prefer-offline',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
  ]
  const { code, output } = await run('npm', ['ci', ...options], root, usableCache(root))
  if (code === 0) return progress.done('done')
  progress.done('failed')
  throw failure(code, output)
}

/** Accounts without a home of their own (services) keep npm's cache in the checkout. */
function usableCache(root) {
  try {
    accessSync(homedir(), constants.W_OK)
    return {}
  } catch {
    const cache = join(root, '.cache', 'npm')
    mkdirSync(cache, { recursive: true })
    return { npm_config_cache: cache }
  }
}

function failure(code, output) {
  if (code === 'ENOENT')
    return new SetUpError('npm is not installed.', 'Install npm beside Node.js, then run this again.')
  if (/ENOSPC/.test(output)) return new SetUpError('The disk is full.', 'Free about 600 MB and run this again.')
  if (/EACCES|EPERM|EROFS/.test(output)) {
    return new SetUpError(
      'npm may not write where it must.',
      `Run this as the owner of the folder. npm said:\n${tail(output)}`,
    )
  }
  if (
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED|network/i.test(output)
  ) {
    return new SetUpError(
      'The packages could not be fetched: there is no network, or npm is not set up for yours.',
      `The first start needs the network once. Connect, or set npm's registry or proxy, then run this again; or copy
  the folder from a machine where Cygnet has already been started. npm said:\n${tail(output)}`,
    )
  }
  return new SetUpError(
    'npm could not install the packages.',
    `Run 'npm ci' in the folder to see more. npm said:\n${tail(output)}`,
  )
}

function tail(output) {
  const lines = output.split('\n').filter((line) => /error/i.test(line))
  return lines
    .slice(-6)
    .map((line) => `    ${line}`)
    .join('\n')
}
