/** Every change of this room's tables, in order. */
import type { RoomMigrations } from '../../foundation/database.ts'
import * as first from './0001-identity.ts'
import * as second from './0002-experiment-gids.ts'
import * as signInMethods from './0003-sign-in-methods.ts'
import * as groups from './0004-groups.ts'
import * as federation from './0005-federation.ts'
import * as factors from './0006-factors.ts'
import * as invitations from './0007-invitations.ts'
import * as tokens from './0008-tokens.ts'
import * as auditChain from './0009-audit-chain.ts'
import * as brokenGlass from './0010-break-glass.ts'

export const identityMigrations: RoomMigrations = {
  room: 'identity',
  migrations: {
    '0001-identity': first,
    '0002-experiment-gids': second,
    '0003-sign-in-methods': signInMethods,
    '0004-groups': groups,
    '0005-federation': federation,
    '0006-factors': factors,
    '0007-invitations': invitations,
    '0008-tokens': tokens,
    '0009-audit-chain': auditChain,
    '0010-break-glass': brokenGlass,
  },
}
