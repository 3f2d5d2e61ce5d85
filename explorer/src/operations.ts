// The operations of the panel, and their result types.

export interface UserError {
  code: string;
  message: string;
  field: string[] | null;
  retryAfter: number | null;
}

export interface Tokens {
  accessToken: string;
  refreshToken: string;
  expiresIn: number;
}

export interface User {
  id: string;
  username: string;
  roles: { name: string }[];
}

export interface SessionPayload {
  tokens: Tokens | null;
  user: User | null;
  errors: UserError[];
}

export interface RegisterPayload {
  emailSentTo: string | null;
  errors: UserError[];
}

export interface SessionEvent {
  kind: "SIGNED_IN" | "REFRESHED" | "REVOKED";
  session: { current: boolean; endReason: string | null };
}

const ERRORS = "errors { code message field retryAfter }";
const SESSION = `
  tokens { accessToken refreshToken expiresIn }
  user { id username roles { name } }
  ${ERRORS}
`;

export const LOG_IN = `
  mutation ExplorerLogIn($input: LoginInput!) { login(input: $input) { ${SESSION} } }
`;

export const REFRESH = `
  mutation ExplorerRefresh($input: RefreshTokensInput!) {
    refreshTokens(input: $input) { ${SESSION} }
  }
`;

export const REGISTER = `
  mutation ExplorerRegister($input: RegisterInput!) {
    register(input: $input) { emailSentTo ${ERRORS} }
  }
`;

export const LOG_OUT = `
  mutation ExplorerLogOut { logout { endedSessions ${ERRORS} } }
`;

export const SESSION_EVENTS = `
  subscription ExplorerSessionEvents { sessionEvents { kind session { current endReason } } }
`;
