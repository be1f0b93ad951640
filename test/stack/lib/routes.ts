/** What an application answers, and by which rules of Nginx. */

/** A route of the application, a request for it, and the location of Nginx whose rules are meant for it. */
export interface Route {
  /** As Express writes it; `use` takes all that is below. */
  path: string;
  use?: true;
  method: 'GET' | 'POST';
  target: string;
  location: string;
}

const AUTH = '~* ^/api/v1/auth(?:/|$)';
const HEALTH = '~* ^/api/v1/health(?:/|$)';
const UPLOADS = '~* ^/api/v1/uploads(?:/|$)';

/**
 * Routes as an application has them, in its order: those with rules of their own, some with parameters, and all that is
 * below. What is reached by none of them is `none`, and no location may pass it on.
 */
export const ROUTES: Record<string, Route> = {
  health: { path: '/api/v1/health', method: 'GET', target: '/api/v1/health', location: HEALTH },
  ready: { path: '/api/v1/health/ready', method: 'GET', target: '/api/v1/health/ready', location: HEALTH },
  probes: {
    path: '/api/v1/health',
    use: true,
    method: 'GET',
    target: '/api/v1/health/live',
    location: HEALTH,
  },
  metrics: {
    path: '/api/v1/metrics',
    use: true,
    method: 'GET',
    target: '/api/v1/metrics',
    location: '~* ^/api/v1/metrics(?:/|$)',
  },
  queues: {
    path: '/admin/queues',
    use: true,
    method: 'GET',
    target: '/admin/queues',
    location: '~* ^/admin/queues(?:/|$)',
  },
  webhook: {
    path: '/webhooks',
    use: true,
    method: 'POST',
    target: '/webhooks/payments',
    location: '~* ^/webhooks(?:/|$)',
  },
  login: {
    path: '/api/v1/auth/login',
    method: 'POST',
    target: '/api/v1/auth/login',
    location: '~* ^/api/v1/auth/login/?$',
  },
  register: {
    path: '/api/v1/auth/register',
    method: 'POST',
    target: '/api/v1/auth/register',
    location: '~* ^/api/v1/auth/register/?$',
  },
  verify: {
    path: '/api/v1/auth/verify',
    method: 'GET',
    target: '/api/v1/auth/verify?token=t',
    location: AUTH,
  },
  provider: {
    path: '/api/v1/auth/:provider/callback',
    method: 'GET',
    target: '/api/v1/auth/github/callback?code=c&state=s',
    location: AUTH,
  },
  auth: { path: '/api/v1/auth', use: true, method: 'POST', target: '/api/v1/auth/logout', location: AUTH },
  uploads: {
    path: '/api/v1/uploads',
    use: true,
    method: 'POST',
    target: '/api/v1/uploads',
    location: UPLOADS,
  },
  articles: { path: '/api/v1/articles', method: 'GET', target: '/api/v1/articles', location: '/api/' },
  article: {
    path: '/api/v1/articles/:slug',
    method: 'GET',
    target: '/api/v1/articles/a-slug',
    location: '/api/',
  },
  comment: {
    path: '/api/v1/:kind/:id/comments/:comment',
    method: 'GET',
    target: '/api/v1/articles/7/comments/8',
    location: '/api/',
  },
  api: { path: '/api', use: true, method: 'GET', target: '/api/v1/search?q=text', location: '/api/' },
  socket: {
    path: '/socket.io',
    use: true,
    method: 'GET',
    target: '/socket.io/?EIO=4&transport=polling',
    location: '/socket.io/',
  },
};
