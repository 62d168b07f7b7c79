ActiveRecord::Schema.define(version: 2024_01_01_000000) do
  create_table "users" do |t|
    t.string "username", null: false
    t.string "password_digest", null: false
  end
end
