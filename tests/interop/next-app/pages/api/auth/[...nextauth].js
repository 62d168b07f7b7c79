import NextAuth from "next-auth";
import CredentialsProvider from "next-auth/providers/credentials";

const users = [{ id: "user_42", name: "Ada Lovelace", email: "ada@example.com", password: "analytical engine" }];

export const authOptions = {
  providers: [
    CredentialsProvider({
      credentials: { email: { label: "Email" }, password: { label: "Password", type: "password" } },
      authorize({ email, password }) {
        const user = users.find((user) => user.email === email && user.password === password);
        return user ? { id: user.id, name: user.name, email: user.email } : null;
      },
    }),
  ],
};

export default NextAuth(authOptions);
