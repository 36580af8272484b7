/* Sets up Swagger UI, and authorizes with the token that a login on this page gave. */
"use strict";

(function () {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();

  const place = document.getElementById("swagger-ui");
  const ui = window.SwaggerUIBundle({
    url: place.dataset.document,
    domNode: place,
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    filter: false,
    persistAuthorization: true,
    tryItOutEnabled: true,
    validatorUrl: null, // no other site is asked what it thinks of the document
    withCredentials: true,
    requestInterceptor: prove,
    responseInterceptor: authorize,
  });

  /* The login of this browser counts where no token is sent, and wants the token that a form would send. */
  function prove(request) {
    const given = Object.keys(request.headers || {}).map((name) => name.toLowerCase());
    const explicit = ["authorization", "api-token", "x-csrf-token"].some((name) => given.includes(name));
    if (place.dataset.csrfToken && !explicit && new URL(request.url, location.href).origin === location.origin) {
      request.headers["X-CSRF-Token"] = place.dataset.csrfToken;
    }
    return request;
  }

  /* A login, a registration, a refresh and a change of password all answer an access token. */
  function authorize(response) {
    const own = new URL(response.url, location.href).origin === location.origin;
    const given = own && response.ok && response.body;
    const scheme = ui.specSelectors.specJson().getIn(["components", "securitySchemes", "bearer"]);
    if (scheme && given && given.token_type === "Bearer" && typeof given.access_token === "string") {
      ui.authActions.authorizeWithPersistOption({
        bearer: { name: "bearer", schema: scheme.toJS(), value: given.access_token },
      });
    }
    return response;
  }
})();
