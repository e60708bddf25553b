// The emojis that both composers offer.

export const EMOJIS = "😀 😂 😊 😍 😉 😎 🙂 🤔 😅 😢 😭 😡 😱 😴 🤗 🙄 👍 👎 👌 🙏 👏 💪 👋 🤝 ❤️ 🔥 ✨ 🎉 ✅ ❌ ❓ ❗ 📷 📎 📦 🚚 💳 🧾 🕐 📍 📞 💻 📱 🔒 ☕ 🌧️ ☀️ 🌙".split(" ");
