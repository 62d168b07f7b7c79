User.create!(id: 17, username: "ada", password: "analytical engine")
User.create!(id: 18, username: "bob", password: "tabulating machine")
