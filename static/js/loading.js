// @ts-check
// Stands watch until the page's modules have loaded. A telephone that changes networks just then loses one of them, and
// with it the page: so it is loaded anew, once by itself, and else on request. The link's secret stays behind the `#`
// meanwhile, for no module has run that takes it away.
//
// No module itself, and loaded before them.

{
  const AGAIN = "quietroom.loaded-anew"; // in this tab: it was tried
  const AFTER = 1_000; // ms for the next network to be there

  let isLost = false;

  const tell = () => {
    const card = document.querySelector("main section");
    if (card === null) return;
    const text = document.createElement("p");
    text.setAttribute("role", "alert");
    text.textContent = "A part of this page could not be loaded. Check your connection to the internet, then reload this page.";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "primary";
    button.textContent = "Reload this page";
    button.addEventListener("click", () => location.reload());
    const heading = document.createElement("h1");
    heading.textContent = "The page is not complete";
    card.replaceChildren(heading, text, button);
  };

  // Of a script's failure only the script hears: it has to be caught on its way there.
  window.addEventListener(
    "error",
    ({ target }) => {
      if (!(target instanceof HTMLScriptElement) || isLost) return;
      isLost = true;
      if (sessionStorage.getItem(AGAIN) !== null) {
        tell();
        return;
      }
      sessionStorage.setItem(AGAIN, "1");
      window.setTimeout(() => location.reload(), AFTER);
    },
    true,
  );
  window.addEventListener("load", () => {
    if (!isLost) sessionStorage.removeItem(AGAIN);
  });
}
