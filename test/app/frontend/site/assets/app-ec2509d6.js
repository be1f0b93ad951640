// The API is the host beside this one: https://api.example.com for https://example.com.
const api = `${location.protocol}//api.${location.host.replace(/^www\./, '')}/api/v1`;

async function call(path, options) {
  const response = await fetch(api + path, { credentials: 'include', ...options });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `status ${response.status}`);
  return answer;
}

const element = (tag, text, ...children) => {
  const created = document.createElement(tag);
  created.textContent = text;
  created.append(...children);
  return created;
};

const pages = {
  async '/'() {
    const { articles } = await call('/articles');
    return element('ul', '', ...articles.map(({ title }) => element('li', title)));
  },
  async '/account'() {
    const { email } = await call('/me');
    return element('p', `Logged in as ${email}`);
  },
  async '/about'() {
    const { version, instance } = await call('/health');
    return element('p', `Version ${version}, answered by ${instance}`);
  },
};

async function show() {
  const main = document.querySelector('main');
  try {
    const page = pages[location.pathname] ?? (() => element('p', 'There is no such page.'));
    main.replaceChildren(await page());
  } catch (error) {
    main.replaceChildren(element('p', error.message));
  }
}

document.querySelector('nav').addEventListener('click', event => {
  if (!event.target.href) return;
  event.preventDefault();
  history.pushState(null, '', event.target.href);
  show();
});
addEventListener('popstate', show);
show();
