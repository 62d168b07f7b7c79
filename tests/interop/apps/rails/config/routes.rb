Rails.application.routes.draw do
  root "home#show"
  get "login", to: "sessions#new"
  post "login", to: "sessions#create"
  delete "logout", to: "sessions#destroy"
  get "whoami", to: "home#whoami"
end
