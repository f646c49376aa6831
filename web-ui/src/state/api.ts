// The API: one function, errors as the server words them.

const ROOT = '/api/v1';

export class ApiError extends Error {
  constructor(
    /** As the server says it: it says what to do. */
    message: string,
    readonly status: number,
    /** regia:key-used → key-used */
    readonly code: string,
    readonly body: unknown = null,
  ) {
    super(message);
  }
}

let csrf = '';
let onUnauthorised = () => {};

export function setCsrf(token: string) {
  csrf = token;
}

export function whenUnauthorised(then: () => void) {
  onUnauthorised = then;
}

interface Options {
  body?: unknown;
  /** Text that is sent as it is, with its type. */
  text?: { type: string; text: string };
  headers?: Record<string, string>;
  /** Ms after which the answer isn't waited for any more. */
  timeout?: number;
}

interface Answer<T> {
  value: T;
  etag: string | null;
}

export async function call<T>(method: string, path: string, options: Options = {}): Promise<Answer<T>> {
  const headers: Record<string, string> = { Accept: 'application/json', ...options.headers };
  if (method !== 'GET') {
    if (csrf) headers['X-Regia-CSRF'] = csrf;
    // A double click, or a request sent twice by a bad network, acts once.
    headers['Idempotency-Key'] = crypto.getRandomValues(new Uint32Array(4)).join('-');
  }
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  if (options.text) headers['Content-Type'] = options.text.type;
  let response: Response;
  try {
    response = await fetch(ROOT + path, {
      method,
      headers,
      body: options.text?.text ?? (options.body === undefined ? undefined : JSON.stringify(options.body)),
      credentials: 'same-origin',
      cache: 'no-store',
      signal: AbortSignal.timeout(options.timeout ?? 20_000),
    });
  } catch {
    throw new ApiError('', 0, 'unreachable');
  }
  const text = await response.text();
  let body: unknown = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    body = null;
  }
  if (!response.ok) {
    const problem = (body ?? {}) as { type?: string; title?: string; detail?: string };
    const code = (problem.type ?? '').replace(/^regia:/, '');
    if (response.status === 401 && path !== '/login') onUnauthorised();
    const words = [problem.title, problem.detail].filter(Boolean).join(' ');
    throw new ApiError(words || `${response.status} ${response.statusText}`, response.status, code, body);
  }
  return { value: body as T, etag: response.headers.get('etag') };
}

export const get = async <T>(path: string) => (await call<T>('GET', path)).value;
export const post = async <T>(path: string, body: unknown = {}) => (await call<T>('POST', path, { body })).value;
export const put = async <T>(path: string, body: unknown) => (await call<T>('PUT', path, { body })).value;
export const del = async <T>(path: string) => (await call<T>('DELETE', path)).value;

/** None where this Regia does not have it: what needs it is not shown. */
export async function ifThere<T>(path: string): Promise<T | null> {
  try {
    return await get<T>(path);
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 405 || error.status === 501)) return null;
    throw error;
  }
}

export const url = (path: string) => ROOT + path;
export const socketUrl = (path: string) => `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${ROOT}${path}`;
