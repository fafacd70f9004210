/** For tests: the platform or the agent of `testing.ts` as a process of its own that can be killed. */
import { silentLogger } from '../foundation/log.ts'
import { runAgent } from './index.ts'
import { agentDefaults, startPlatform, type AgentChildOptions, type PlatformPlace } from './testing.ts'

const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
const [role, text = '{}'] = process.argv.slice(2)
if (role === 'platform') {
  const { serverUrl, s3Url, keyFile } = await startPlatform(JSON.parse(text) as PlatformPlace)
  say({ event: 'listening', serverUrl, s3Url, keyFile })
} else {
  const options = JSON.parse(text) as AgentChildOptions
  await runAgent({
    ...agentDefaults,
    ...options,
    signal: new AbortController().signal,
    log: silentLogger(),
    onEvent: say,
  })
}
